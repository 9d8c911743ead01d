"""Where a request may go if its URL came from input.

By default: `https://` on port 443, to a name whose addresses are all public. The operator can allow
more with `TEAMRUN_ALLOWED_HOSTS`, a list of entries:

| entry | allows |
|---|---|
| `hooks.internal` | this name, by `http://` and `https://`, on their default ports |
| `127.0.0.1:3000`, `[::1]:3000`, `hooks.internal:8443` | this address or name on this port only |
| `*.corp.example` | every name below it; not `corp.example` itself |
| `10.1.0.0/16`, `[fd00::/8]:8443` | this network; also names in it, by `https://` |
"""

import re
from collections.abc import Iterable, Sequence
from ipaddress import ip_network
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

from teamrun.core.loopback import is_loopback
from teamrun.errors import DestinationRefused, UsageError
from teamrun.net.addresses import (
    LOOPBACK,
    Address,
    Network,
    is_public,
    read_address,
)

__all__ = ["DEFAULT_PORTS", "Destinations", "Origin"]

DEFAULT_PORTS = {"https": 443, "http": 80}

_MOST_CHARACTERS = 2_048


class Origin(NamedTuple):
    """Scheme, host and port of a URL (RFC 6454, section 4)."""

    scheme: str
    host: str
    """In lower case; without brackets and without a final dot."""
    port: int


class _Allowed(NamedTuple):
    """One entry of the operator's list."""

    name: str | None
    """A name; `.corp.example` for every name below it."""
    network: Network | None
    port: int | None

    def has_name(self, host: str) -> bool:
        if self.name is None:
            return False
        return host.endswith(self.name) if self.name.startswith(".") else host == self.name

    def has_address(self, address: Address) -> bool:
        return self.network is not None and address in self.network

    def has_port(self, port: int) -> bool:
        return port == self.port if self.port else port in DEFAULT_PORTS.values()


class Destinations:
    """Decides where requests with a URL from input may go.

    Args:
        allowed: The operator's entries; see the module's docstring.

    Raises:
        UsageError: An entry has another form.
    """

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        self._allowed = [_read_entry(entry) for entry in allowed]

    def check_url(self, url: str) -> Origin:
        """Check what can be known without looking up the name.

        Returns:
            The origin of the URL. Its addresses are checked when a request is sent, because they
            may change at any time.

        Raises:
            DestinationRefused: No request may be sent to the URL; the message says why.
        """
        origin = _origin(url)
        if any(
            entry.has_name(origin.host) and entry.has_port(origin.port) for entry in self._allowed
        ):
            return origin
        address = read_address(origin.host)
        if address is not None:
            self.check_addresses(origin, [address])
            if self._is_allowed(address, origin.port):
                return origin
        elif is_loopback(origin.host) and not self._may_be_loopback(origin.port):
            self.check_addresses(origin, LOOPBACK)
        if origin.scheme != "https":
            raise DestinationRefused(
                f"The URL must begin with https://, not {origin.scheme}://. {_remedy(origin)}"
            )
        if address is None and not self._may_have_port(origin.port):
            raise DestinationRefused(f"The port must be 443, not {origin.port}. {_remedy(origin)}")
        return origin

    def check_addresses(self, origin: Origin, addresses: Sequence[Address]) -> None:
        """Check every address of the host; one that is not allowed refuses all.

        Raises:
            DestinationRefused: An address is not allowed, or there is none.
        """
        if not addresses:
            raise DestinationRefused(f"The host {origin.host} has no address.")
        if any(
            entry.has_name(origin.host) and entry.has_port(origin.port) for entry in self._allowed
        ):
            return
        for address in addresses:
            is_plain = origin.port == DEFAULT_PORTS["https"] and is_public(address)
            if not is_plain and not self._is_allowed(address, origin.port):
                # Without the address: a client must not learn about names of a private network.
                raise DestinationRefused(
                    f"The host {origin.host} is not allowed on port {origin.port}: it must have "
                    f"public addresses only, on port 443. {_remedy(origin)}"
                )

    def _is_allowed(self, address: Address, port: int) -> bool:
        return any(entry.has_address(address) and entry.has_port(port) for entry in self._allowed)

    def _may_be_loopback(self, port: int) -> bool:
        return any(self._is_allowed(address, port) for address in LOOPBACK)

    def _may_have_port(self, port: int) -> bool:
        """Whether a name may be used with this port, depending on its addresses."""
        networks = [entry for entry in self._allowed if entry.network is not None]
        return port == DEFAULT_PORTS["https"] or any(entry.has_port(port) for entry in networks)


def _remedy(origin: Origin) -> str:
    """How a host is allowed that is not."""
    address = read_address(origin.host)
    if address is not None and address.is_link_local:
        return (
            "It is link-local, as the metadata services of clouds are, which hand out credentials."
        )
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    return f"An operator can allow it: TEAMRUN_ALLOWED_HOSTS='[\"{host}:{origin.port}\"]'."


def _origin(url: str) -> Origin:
    if len(url) > _MOST_CHARACTERS:
        raise DestinationRefused(f"The URL is longer than {_MOST_CHARACTERS} characters.")
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise DestinationRefused(
            "The URL has spaces, control characters, backslashes or characters outside ASCII; "
            "encode them (RFC 3986)."
        )
    parts, port = _split(url)
    host = (parts.hostname or "").removesuffix(".")
    if parts.scheme not in DEFAULT_PORTS or not host:
        raise DestinationRefused("The URL must have the form https://host/path.")
    if parts.username is not None or parts.password is not None:
        raise DestinationRefused("The URL must not contain a user name or password.")
    return Origin(parts.scheme, host, DEFAULT_PORTS[parts.scheme] if port is None else port)


def _split(url: str) -> tuple[SplitResult, int | None]:
    try:
        parts = urlsplit(url)
        return parts, parts.port
    except ValueError as error:
        raise DestinationRefused(f"The URL is invalid: {error}.") from error


def _read_entry(entry: str) -> _Allowed:
    try:
        host, port = _without_port(entry.strip().lower())
        if "/" in host or read_address(host) is not None:
            return _Allowed(None, ip_network(read_address(host) or host), port)
    except ValueError:
        raise _invalid(entry) from None
    name = host.removeprefix("*") if host.startswith("*.") else host
    if not _NAME.fullmatch(host.removeprefix("*.")):
        raise _invalid(entry)
    return _Allowed(name, None, port)


def _without_port(entry: str) -> tuple[str, int | None]:
    """Host and port of an entry; IPv6 with a port is in brackets.

    Raises:
        ValueError: The port is not one.
    """
    if entry.startswith("["):
        host, bracket, rest = entry[1:].partition("]")
        if not bracket:
            raise ValueError(entry)
    elif entry.count(":") == 1:
        host, _, rest = entry.partition(":")
        rest = f":{rest}"
    else:
        return entry, None
    if not rest:
        return host, None
    port = int(rest.removeprefix(":")) if rest.startswith(":") else 0
    if not 0 < port < 65_536:
        raise ValueError(rest)
    return host, port


_NAME = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")


def _invalid(entry: str) -> UsageError:
    return UsageError(
        f"TEAMRUN_ALLOWED_HOSTS: {entry!r} is not an entry. Use a host (hooks.internal), an "
        "address (127.0.0.1:3000, [::1]:3000), a network (10.1.0.0/16) or all names below one "
        "(*.corp.example), each with a port or without.",
    )
