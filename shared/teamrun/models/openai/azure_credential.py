"""Which credential the environment gives for a model on Azure."""

from collections.abc import Mapping

__all__ = ["credential_in"]

_VARIABLES = {"azure_ad_token": "AZURE_OPENAI_AD_TOKEN", "api_key": "AZURE_OPENAI_API_KEY"}
"""By the argument of the client. The order is that of the `openai` package."""


def credential_in(environ: Mapping[str, str]) -> dict[str, str]:
    """The argument of the client for the first variable that is set; empty if there is none."""
    for argument, variable in _VARIABLES.items():
        if value := environ.get(variable, "").strip():
            return {argument: value}
    return {}
