"""Which IP addresses are public.

`ipaddress.is_global` is not used: it differs between patch releases of Python, and up to 3.11.9 it
is true for multicast, 6to4 and NAT64 addresses that contain a private one.

Sources: the IANA special-purpose address registries of IPv4 and IPv6 (RFC 6890), and the address of
the host agent in Azure's virtual networks.
"""

import re
import socket
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
)

__all__ = ["LOOPBACK", "Address", "Network", "is_public", "read_address"]

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

LOOPBACK: tuple[Address, ...] = (IPv4Address("127.0.0.1"), IPv6Address("::1"))
"""What `localhost` and the names below it may stand for (RFC 6761, section 6.3)."""

_NOT_PUBLIC_IPV4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carriers; also metadata of Alibaba Cloud
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # host agent of Azure
        "169.254.0.0/16",  # link-local; metadata of AWS, Azure and Google Cloud
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments; metadata of Oracle Cloud
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and the broadcast address
    )
)

_PUBLIC_IPV6 = IPv6Network("2000::/3")
"""The only part that is assigned for global unicast; loopback, private, link-local, site-local,
multicast, IPv4-compatible and NAT64 addresses are outside."""

_NOT_PUBLIC_IPV6 = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments, with Teredo
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4
        "3fff::/20",  # documentation
    )
)


def read_address(text: str) -> Address | None:
    """The address that the text is, without brackets; None if it is a name.

    An IPv4 address inside IPv6 (`::ffff:127.0.0.1`, RFC 4291, section 2.5.5.2) is returned as IPv4.
    So are the numbers that the system's look-up takes for one: `2130706433`, `0x7f.1`, `0177.0.0.1`
    (`inet_aton` of POSIX).
    """
    try:
        address = ip_address(text.removeprefix("[").removesuffix("]"))
    except ValueError:
        return _read_numbers(text)
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


_NUMBERS = re.compile(r"[0-9a-fx]+(\.[0-9a-fx]+){0,3}", re.IGNORECASE)


def _read_numbers(text: str) -> IPv4Address | None:
    if not _NUMBERS.fullmatch(text):  # `inet_aton` ignores what follows a space
        return None
    try:
        return IPv4Address(socket.inet_aton(text))
    except OSError:
        return None


def is_public(address: Address) -> bool:
    """Whether the address belongs to a host on the internet, and not to a private network."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_IPV4)
    return (
        address.scope_id is None
        and address in _PUBLIC_IPV6
        and not any(address in network for network in _NOT_PUBLIC_IPV6)
    )
