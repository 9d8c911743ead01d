"""The API that a client talks to: its URL and its key."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from teamrun.core.loopback import is_loopback
from teamrun.core.urls import public_url
from teamrun.errors import UsageError

__all__ = ["DEFAULT_URL", "REMEDY", "Address", "is_header_text"]

DEFAULT_URL = "http://127.0.0.1:8080"

REMEDY = f"Set base_url (--url) or TEAMRUN_URL to one such as {DEFAULT_URL}."


@dataclass(frozen=True, slots=True)
class Address:
    """The URL of an API, without a slash at its end, and the key that is sent to it."""

    url: str = field(repr=False)
    api_key: str | None = field(repr=False)

    @classmethod
    def of(
        cls, base_url: str | None, api_key: str | None, environ: Mapping[str, str] = os.environ
    ) -> "Address":
        """The address from the arguments of a client, or from `TEAMRUN_URL` and `TEAMRUN_API_KEY`.

        Raises:
            UsageError: The URL is not one of an HTTP service, or the key cannot be sent.
        """
        url = (base_url or environ.get("TEAMRUN_URL") or DEFAULT_URL).strip()
        key = api_key or environ.get("TEAMRUN_API_KEY") or None
        _check(url)
        if key is not None and not is_header_text(key):
            raise UsageError(
                "The API key has characters that an HTTP header cannot carry; check api_key "
                "(--api-key) or TEAMRUN_API_KEY."
            )
        return cls(url.rstrip("/"), key)

    @property
    def shown(self) -> str:
        """The URL without credentials, for messages."""
        return public_url(self.url)

    @property
    def is_local(self) -> bool:
        """Whether the API is on this machine, which no proxy of the environment is for."""
        return is_loopback(urlsplit(self.url).hostname or "")

    @property
    def headers(self) -> dict[str, str]:
        """The headers of every request."""
        return {"Authorization": f"Bearer {self.api_key}"} if self.api_key else {}


def is_header_text(value: str) -> bool:
    """Whether an HTTP header carries the value unchanged (RFC 9110, 5.5)."""
    return value.isascii() and value.isprintable() and value == value.strip()


def _check(url: str) -> None:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port  # a port beyond 65535 raises
        (host or "").encode("idna")  # as the resolver does; a UnicodeError is a ValueError
    except ValueError:  # its text repeats parts of the URL
        raise UsageError(f"{public_url(url)} is not a URL. {REMEDY}") from None
    if parts.scheme not in {"http", "https"} or not host:
        raise UsageError(f"{public_url(url)} is not the URL of an HTTP service. {REMEDY}")
    if "@" in parts.path or "?" in url or "#" in url:
        raise UsageError(
            f"{public_url(url)}: the URL has a query or a fragment, or a password with characters "
            "that must be percent-encoded: # is %23, / is %2F, ? is %3F, @ is %40."
        )
