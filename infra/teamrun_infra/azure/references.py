"""References to secrets of Key Vault that the platform could not resolve.

An app setting `@Microsoft.KeyVault(...)` reaches the process as the value of the secret; if that
fails, as the reference itself.
Source: https://learn.microsoft.com/azure/app-service/app-service-key-vault-references
"""

from collections.abc import Mapping
from typing import Final

from teamrun.errors import UsageError

__all__ = ["check_references"]

_REFERENCE: Final = "@Microsoft.KeyVault("


def check_references(environ: Mapping[str, str]) -> None:
    """Refuse variables that are references, before one is used as a key or a URL.

    Args:
        environ: The variables of the process.

    Raises:
        UsageError: The platform has not resolved a reference; the message names the variables.
    """
    names = sorted(name for name, value in environ.items() if value.startswith(_REFERENCE))
    if names:
        raise UsageError(
            f"References to Key Vault are not resolved: {', '.join(names)}. Check that each secret "
            "exists in the vault, and that the identity of the app has the role Key Vault Secrets "
            "User on it; then restart the app (az functionapp restart).",
            settings=names,
        )
