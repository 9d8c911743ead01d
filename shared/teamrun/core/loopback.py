"""Which host names and addresses mean this machine."""

import ipaddress
from functools import lru_cache
from urllib.parse import urlsplit

__all__ = ["is_loopback", "is_loopback_url"]


@lru_cache(maxsize=256)
def is_loopback(host: str) -> bool:
    """Whether a host name or address, without port, means this machine."""
    host = host.strip("[]").rstrip(".").lower()
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_loopback_url(url: str) -> bool:
    """Whether a URL stays on this machine; one without a host, as of a Unix socket, does."""
    try:
        host = urlsplit(url).hostname
    except ValueError:
        return False
    return host is None or is_loopback(host)
