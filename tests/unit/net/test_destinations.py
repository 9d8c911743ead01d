"""Where a URL from input may lead."""

import pytest

from teamrun.errors import DestinationRefused, UsageError
from teamrun.net.addresses import is_public, read_address
from teamrun.net.destinations import Destinations, Origin

PRIVATE = (
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "2130706433",
    "0x7f.1",
    "0x7f000001",
    "0X7F.0.0.1",
    "017700000001",
    "127.1",
    "2852039166",
    "0",
    "::ffff:127.0.0.1",
    "::ffff:a9fe:a9fe",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:10::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fd20:ce::254",
    "fe80::1",
    "fe80::1%eth0",
    "2600::1%eth0",
    "fec0::1",
    "ff02::1",
)
PUBLIC = (
    "1.1.1.1",
    "93.184.215.14",
    "192.0.1.1",
    "172.32.0.1",
    "2606:4700::1111",
    "::ffff:8.8.8.8",
    "134744072",
)


@pytest.mark.parametrize("text", PRIVATE)
def test_an_address_of_a_special_network_is_refused_in_a_url_and_as_the_address_of_a_name(
    text: str,
) -> None:
    address = read_address(text)
    assert address is not None and not is_public(address)
    host = f"[{text}]" if ":" in text else text
    with pytest.raises(DestinationRefused):
        Destinations().check_url(f"https://{host}/hook")
    with pytest.raises(DestinationRefused):
        Destinations().check_addresses(Origin("https", "name.example", 443), [address])


@pytest.mark.parametrize("text", PUBLIC)
def test_a_public_address_is_allowed(text: str) -> None:
    address = read_address(text)
    assert address is not None
    Destinations().check_addresses(Origin("https", "name.example", 443), [address])


@pytest.mark.parametrize("text", ("a", "face.b00c", "0x", "08", "256.1.1.1.1", "4294967296", "x.1"))
def test_other_names_are_no_addresses(text: str) -> None:
    assert read_address(text) is None


@pytest.mark.parametrize("host", ("localhost", "LocalHost.", "x.localhost", "a.b.localhost"))
@pytest.mark.parametrize(
    ("entry", "is_allowed"),
    (
        (None, False),
        ("localhost.example", False),
        ("127.0.0.1:8443", False),
        ("127.0.0.1", True),
        ("[::1]:443", True),
    ),
)
def test_a_name_of_loopback_is_refused_unless_its_addresses_are_allowed(
    host: str, entry: str | None, is_allowed: bool
) -> None:
    destinations = Destinations([] if entry is None else [entry])
    if is_allowed:
        destinations.check_url(f"https://{host}/hook")
    else:
        with pytest.raises(DestinationRefused):
            destinations.check_url(f"https://{host}/hook")


def test_a_name_of_loopback_can_be_allowed() -> None:
    Destinations(["localhost:3000", "*.localhost:3000"]).check_url("http://localhost:3000/")
    Destinations(["*.localhost:3000"]).check_url("http://x.localhost:3000/")


def test_an_allowed_address_is_the_same_in_each_notation() -> None:
    for entry in ("127.0.0.1:3000", "2130706433:3000", "[::ffff:127.0.0.1]:3000"):
        for host in ("127.0.0.1", "2130706433", "0x7f.1", "[::ffff:7f00:1]"):
            Destinations([entry]).check_url(f"http://{host}:3000/")


def test_one_address_that_is_not_public_refuses_the_name() -> None:
    addresses = [read_address("1.1.1.1"), read_address("10.0.0.1")]
    with pytest.raises(DestinationRefused):
        Destinations().check_addresses(
            Origin("https", "name.example", 443), [a for a in addresses if a]
        )


def test_a_name_without_addresses_is_refused() -> None:
    with pytest.raises(DestinationRefused):
        Destinations().check_addresses(Origin("https", "name.example", 443), [])


@pytest.mark.parametrize(
    "url",
    (
        "",
        "hooks.example/path",
        "//hooks.example/path",
        "http://hooks.example/",
        "ftp://hooks.example/",
        "file:///etc/passwd",
        "unix:/var/run/docker.sock",
        "https://",
        "https:///path",
        "https://user@hooks.example/",
        "https://user:word@hooks.example/",
        "https://@hooks.example/",
        "https://hooks.example:22/",
        "https://hooks.example:0/",
        "https://hooks.example:65536/",
        "https://hooks.example:x/",
        "https://[::1/",
        "https://hooks .example/",
        "https://hooks.example/\r\nX-Header: 1",
        "https://hooks.example\\@10.0.0.1/",
        "https://hooks.exämple/",
        "https://hooks.example/" + "a" * 2_100,
    ),
    ids=lambda url: url[:40] or "empty",
)
def test_a_url_of_another_form_is_refused(url: str) -> None:
    with pytest.raises(DestinationRefused) as refused:
        Destinations().check_url(url)
    assert refused.value.code == "destination_refused"


@pytest.mark.parametrize(
    ("url", "origin"),
    (
        ("https://hooks.example", Origin("https", "hooks.example", 443)),
        ("HTTPS://Hooks.Example.:443/a?b=c#d", Origin("https", "hooks.example", 443)),
        ("https://1.1.1.1/", Origin("https", "1.1.1.1", 443)),
        ("https://[2606:4700::1111]/", Origin("https", "2606:4700::1111", 443)),
    ),
)
def test_a_url_of_a_public_host_is_allowed(url: str, origin: Origin) -> None:
    assert Destinations().check_url(url) == origin


@pytest.mark.parametrize(
    ("entry", "allowed", "refused"),
    (
        ("127.0.0.1:3000", "http://127.0.0.1:3000/hook", "http://127.0.0.1:3001/hook"),
        ("127.0.0.1:3000", "https://127.0.0.1:3000/hook", "http://127.0.0.2:3000/hook"),
        ("127.0.0.1", "http://127.0.0.1/hook", "http://127.0.0.1:3000/hook"),
        ("[::1]:3000", "http://[::1]:3000/", "http://[::1]:3001/"),
        ("::1", "http://[::1]/", "http://[::2]/"),
        ("hooks.internal", "http://hooks.internal/", "http://hooks.internal:8080/"),
        ("Hooks.Internal:8443", "https://hooks.internal:8443/", "https://hooks.internal:8444/"),
        ("*.corp.example", "http://a.b.corp.example/", "http://corp.example/"),
        ("*.corp.example", "http://a.corp.example/", "http://a.evil-corp.example/"),
        ("10.1.0.0/16:8443", "http://10.1.2.3:8443/", "http://10.2.2.3:8443/"),
        ("[fd00::/8]:8443", "http://[fd00::1]:8443/", "http://[fc00::1]:8443/"),
    ),
)
def test_an_entry_allows_its_hosts_and_ports_and_no_other(
    entry: str, allowed: str, refused: str
) -> None:
    destinations = Destinations([entry])
    destinations.check_url(allowed)
    with pytest.raises(DestinationRefused):
        destinations.check_url(refused)


def test_an_allowed_network_allows_names_with_its_addresses_by_https_only() -> None:
    destinations = Destinations(["10.1.0.0/16:8443"])
    origin = destinations.check_url("https://hooks.internal:8443/")
    inside, outside = read_address("10.1.0.1"), read_address("10.2.0.1")
    assert inside is not None and outside is not None
    destinations.check_addresses(origin, [inside])
    with pytest.raises(DestinationRefused):
        destinations.check_addresses(origin, [inside, outside])
    with pytest.raises(DestinationRefused):
        destinations.check_url("http://hooks.internal:8443/")


@pytest.mark.parametrize(
    "entry",
    (
        "",
        " ",
        "*",
        "*.",
        "http://host",
        "host:0",
        "host:65536",
        "host:x",
        "a b",
        "10.0.0.1/8",
        "host/path",
        ".host",
        "a..b",
        "*a.example",
        "[::1",
    ),
)
def test_an_entry_of_another_form_is_refused_with_the_setting(entry: str) -> None:
    with pytest.raises(UsageError, match="TEAMRUN_ALLOWED_HOSTS"):
        Destinations([entry])


@pytest.mark.parametrize(
    ("host", "is_suggested"),
    (
        ("169.254.169.254", False),
        ("2852039166", False),
        ("[fe80::1]", False),
        ("[::ffff:a9fe:a9fe]", False),
        ("10.0.0.1", True),
        ("localhost", True),
    ),
)
@pytest.mark.parametrize("scheme", ("http", "https"))
def test_no_entry_is_suggested_for_a_link_local_address(
    host: str, is_suggested: bool, scheme: str
) -> None:
    with pytest.raises(DestinationRefused) as refused:
        Destinations().check_url(f"{scheme}://{host}/latest/meta-data")
    assert ("TEAMRUN_ALLOWED_HOSTS" in refused.value.message) is is_suggested
