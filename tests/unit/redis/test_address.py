"""Redis URLs: one reader, every form, and no secret in its errors."""

import itertools
from collections.abc import Sequence
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teamrun.core.refs import RunRef
from teamrun.dispatch.queues import Queue
from teamrun.errors import UsageError
from teamrun.redis.address import read_redis_url
from teamrun_worker.app import make_app
from teamrun_worker.broker import transport_options

TEXT = st.text(st.characters(blacklist_categories=("Cs",)), min_size=1, max_size=20)

USERS = (("", None, None), (":p%23%2F%3Fw@", None, "p#/?w"), ("ann:pw@", "ann", "pw"))
HOSTS = (("host", "host", 6379), ("10.0.0.1:7000", "10.0.0.1", 7000), ("[::1]:1", "::1", 1))
DATABASES = (("", 0), ("/", 0), ("/4", 4), ("?db=4", 4), ("/4?db=4", 4), ("/2?protocol=3", 2))
SCHEMES = (("redis", "tcp"), ("rediss", "tls"))


@pytest.mark.parametrize(
    ("scheme", "user", "host", "database"),
    [*itertools.product(SCHEMES, USERS, HOSTS, DATABASES)],
)
def test_every_form_of_a_host_url_is_read(
    scheme: tuple[str, str],
    user: tuple[str, str | None, str | None],
    host: tuple[str, str, int],
    database: tuple[str, int],
) -> None:
    address = read_redis_url(f"{scheme[0]}://{user[0]}{host[0]}{database[0]}")

    assert (address.kind, address.host, address.port) == (scheme[1], *host[1:])
    assert (address.username, address.password, address.db) == (user[1], user[2], database[1])


@pytest.mark.parametrize("password", ["", "?password=p%23w", ":p%23w@"])
@pytest.mark.parametrize("db", ["", "db=3"])
def test_every_form_of_a_socket_url_is_read(password: str, db: str) -> None:
    authority = password if password.endswith("@") else ""
    query = "&".join(part for part in (password.removeprefix("?"), db) if part and not authority)
    query = db if authority else query
    address = read_redis_url(f"unix://{authority}/run/my%20redis.sock{'?' if query else ''}{query}")

    assert (address.kind, address.path) == ("unix", "/run/my redis.sock")
    assert address.password == ("p#w" if password else None)
    assert address.db == (3 if db else 0)


@given(username=TEXT, password=TEXT, db=st.integers(0, 999))
def test_every_credential_arrives_as_it_was_written_and_is_in_no_text(
    username: str, password: str, db: int
) -> None:
    user, secret = quote(username, safe=""), quote(password, safe="")
    before = read_redis_url(f"redis://{user}:{secret}@host/{db}")
    after = read_redis_url(f"redis://host?username={user}&password={secret}&db={db}")

    assert before == after
    assert (before.username, before.password, before.db) == (username, password, db)
    assert before.where == f"redis://host:6379/{db}"
    assert "password" not in repr(before)


@given(secret=st.text(st.sampled_from("#/?@[]:%&=hunter2"), min_size=1, max_size=12))
def test_a_refusal_repeats_no_part_of_the_password(secret: str) -> None:
    url = f"redis://:HUNTER{secret}TWO@host:6379/0"
    try:
        address = read_redis_url(url)
    except UsageError as error:
        assert "HUNTER" not in str(error)
        assert "TWO" not in str(error)
        assert error.__context__ is None or error.__suppress_context__
    else:
        assert "HUNTER" not in address.where
        assert "TWO" not in address.where
        assert "HUNTER" not in repr(address)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "host:6379",
        "http://host",
        "sentinel://host",
        "redis+socket:///s",
        "redis://host:port/0",
        "redis://host:0/0",
        "redis://host:99999/0",
        "redis://host/x",
        "redis://host/-1",
        "redis://host/1?db=2",
        "redis://host?db=1&db=1",
        "redis://host?colour=red",
        "redis://host?socket_timeout=1",
        "redis://host?virtual_host=1",
        "redis://host?protocol=4",
        "redis://host?db",
        "redis://host?ssl_cert_reqs=none",
        "rediss://host?ssl_cert_reqs=optional",
        "rediss://host?ssl_check_hostname=maybe",
        "redis://:a@host?password=b",
        "redis://:%ff@host",
        "redis://:a b@host",
        "redis://:a#b@host/0",
        "redis://:a/b@host/0",
        "redis://:a?b@host/0",
        "unix://",
        "unix://relative/s",
        "unix:///s?colour=red",
        "unix:///s?db=x",
    ],
)
def test_an_invalid_redis_url_is_refused_with_the_name_of_the_setting(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_redis_url(url)
    assert caught.value.data["setting"] == "redis_url"


@pytest.mark.parametrize("option", ["colour", "virtual_host", "socket_timeout", "ssl_ciphers"])
def test_an_unknown_option_is_named(option: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_redis_url(f"rediss://host?{option}=1")
    assert caught.value.data["setting"] == "redis_url"
    assert repr(option) in caught.value.message


@pytest.mark.parametrize(
    ("options", "verified"),
    [
        ("", True),
        ("?ssl_ca_certs=/ca.pem", True),
        ("?ssl_cert_reqs=required&ssl_check_hostname=true", True),
        ("?ssl_cert_reqs=CERT_REQUIRED", True),
        ("?ssl_cert_reqs=none", False),
        ("?ssl_cert_reqs=CERT_NONE", False),
        ("?ssl_check_hostname=false", False),
    ],
)
def test_certificates_are_verified_unless_a_setting_turns_that_off(
    options: str, verified: bool
) -> None:
    address = read_redis_url(f"rediss://host/0{options}")

    assert address.verified is verified
    assert set(address.options()) >= {"ssl_cert_reqs", "ssl_check_hostname"}


@pytest.mark.parametrize(
    "url",
    [
        "redis://ann:p%23w@host:7/3",
        "rediss://host/2?password=p%2Fw&ssl_ca_certs=/ca.pem",
        "unix:///run/s?db=4&password=pw",
        "unix://:pw@/run/s",
    ],
)
def test_celery_gets_what_the_rest_gets_and_a_url_without_credentials(url: str) -> None:
    address = read_redis_url(url)
    app = make_app(url, accept=_ignore, prefix="teamrun:x:")
    connection = app.connection_for_read()

    assert connection.as_uri() == address.where
    assert connection.transport_options == transport_options(address, prefix="teamrun:x:")
    assert "pw" not in f"{connection!r} {connection.transport_options!r} {app.conf.broker_url}"


def _ignore(refs: Sequence[RunRef], *, queue: Queue) -> None:
    """Take runs."""
