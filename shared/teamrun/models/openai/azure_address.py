"""Addresses of models on Azure: the path of a deployment, or the path `/openai/v1`.

| path | version | deployment |
|---|---|---|
| `/openai/deployments/{deployment}/chat/completions` | `?api-version=2024-10-21` | in the path |
| `/openai/v1/chat/completions` | none, or `?api-version=preview` | `model` of the body |

Source: https://learn.microsoft.com/azure/foundry/openai/api-version-lifecycle. The newer path
refuses a dated version with status 400.
"""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, unquote

from teamrun.errors import UsageError
from teamrun.models.makers import address_and_query

__all__ = ["AzureAddress", "azure_address"]

V1_VERSIONS: Final = ("v1", "latest", "preview")
"""Versions that mean the path `/openai/v1`; only `preview` is sent."""

_PATH: Final = re.compile(
    r"(?P<root>.*?)(?:/openai(?:(?P<v1>/v1)|/deployments/(?P<deployment>[^/]+))?)?"
    r"(?:/chat/completions|/responses)?/*",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AzureAddress:
    """Where a deployment is called."""

    resource: str
    """The address of the resource, without the path of the API."""
    deployment: str
    api_version: str | None
    """None: the path `/openai/v1`."""
    query: dict[str, str]
    """Sent with each request, without a dated `api-version`."""

    @property
    def base_url(self) -> str:
        """The address to which `/chat/completions` is added."""
        if self.api_version is None:
            return f"{self.resource}/openai/v1"
        return f"{self.resource}/openai/deployments/{quote(self.deployment, safe='')}"


def azure_address(
    endpoint: str,
    *,
    deployment: str | None,
    model: str,
    api_version: str | None,
    default: str | None,
) -> AzureAddress:
    """The parts of an address in any form that the portal shows.

    Args:
        endpoint: The resource's address, with or without the path of the API.
        deployment: The deployment's name; without it, the one in the path, else the model's name.
        model: The model's name.
        api_version: The caller's choice; without it, the one in the query of the endpoint.
        default: The version of the environment. The path `/openai/v1` does not use it.

    Raises:
        UsageError: The path is `/openai/v1`, and the version is one that it refuses.
    """
    url, query = address_and_query(endpoint.strip())
    query = dict(query or {})
    scheme, mark, rest = url.partition("://")
    found = _PATH.fullmatch(rest)
    assert found is not None, "every part of the pattern is optional"
    in_path = found["deployment"]
    version = api_version or query.pop("api-version", None)
    query.pop("api-version", None)
    if version is None and not found["v1"]:
        version = default
    is_v1 = bool(found["v1"]) or (version is None and not in_path) or version in V1_VERSIONS
    if is_v1 and version not in (None, *V1_VERSIONS):
        raise UsageError(
            f"api_version={version!r} does not go with the path /openai/v1, which takes no dated "
            "version: leave it out, or give azure_endpoint without that path.",
            argument="api_version",
        )
    if not is_v1 and version is None:
        raise UsageError(
            "Azure OpenAI needs api_version=, or OPENAI_API_VERSION in the environment, for the "
            "path of a deployment.",
            argument="api_version",
        )
    if version == "preview":
        query["api-version"] = version
    return AzureAddress(
        resource=f"{scheme}{mark}{found['root'].rstrip('/')}",
        deployment=deployment or (unquote(in_path) if in_path else model),
        api_version=None if is_v1 else version,
        query=query,
    )
