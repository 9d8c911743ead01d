"""Who asks: API keys, their scopes and tenants."""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from teamrun_api.faults import MissingScope, Unauthenticated
from teamrun_api.settings import ApiKey, Scope

__all__ = ["LOCAL", "Caller", "Keyring"]

ALL_SCOPES: frozenset[str] = frozenset(get_args(Scope))


@dataclass(frozen=True, slots=True)
class Caller:
    """The sender of a request."""

    name: str
    tenant: str
    scopes: frozenset[str]

    def require(self, scope: str) -> None:
        """Admit the caller if its key has the scope.

        Raises:
            MissingScope: It does not.
        """
        if scope not in self.scopes:
            raise MissingScope(
                f"The key {self.name!r} does not have the scope {scope!r};"
                f" it has {', '.join(sorted(self.scopes))}.",
                scope=scope,
            )


LOCAL = Caller(name="local", tenant="default", scopes=ALL_SCOPES)
"""Any client on this machine, if no keys are configured."""


class Keyring:
    """The keys that the operator configured; without any, every caller is `LOCAL`."""

    def __init__(self, keys: Sequence[ApiKey]) -> None:
        self._callers = [
            (bytes.fromhex(key.sha256), Caller(key.name, key.tenant, frozenset(key.scopes)))
            for key in keys
        ]

    def __bool__(self) -> bool:
        """Whether there is any key."""
        return bool(self._callers)

    def caller(self, authorization: str | None) -> Caller:
        """The caller that an `Authorization` header identifies.

        Raises:
            Unauthenticated: Keys are configured, and this is none of them.
        """
        if not self._callers:
            return LOCAL
        scheme, _, token = (authorization or "").partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            raise Unauthenticated("Send the API key as `Authorization: Bearer <key>`.")
        given = hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
        found: Caller | None = None
        # Every key is compared, so that the time does not reveal which one was similar.
        for digest, caller in self._callers:
            if hmac.compare_digest(digest, given):
                found = caller
        if found is None:
            raise Unauthenticated("The API key is not known; ask the operator for a valid one.")
        return found
