"""The parser of Redis URLs for every process and every client library.

redis-py and kombu interpret the same URL differently (`?db=`, `?protocol=`, `unix://`,
certificates). Here a URL is parsed once, and both libraries are configured from the result.
"""

import re
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Literal, NoReturn
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from teamrun.core.loopback import is_loopback
from teamrun.errors import UsageError
from teamrun.json_types import JsonObject

__all__ = ["RedisAddress", "read_redis_url"]

DEFAULT_PORT = 6379

_FORMS = "redis://host:6379/0, rediss://host:6379/0 or unix:///path/of/the.sock"
_ENCODE = (
    "percent-encode special characters in the user name, the password and the path: # is %23, "
    "/ is %2F, ? is %3F, @ is %40, % is %25"
)
_TLS_OPTIONS = (
    "ssl_ca_certs",
    "ssl_ca_path",
    "ssl_cert_reqs",
    "ssl_certfile",
    "ssl_check_hostname",
    "ssl_keyfile",
)
_OPTIONS = ("db", "password", "protocol", "username")
_KINDS: dict[str, Literal["tcp", "tls", "unix"]] = {
    "redis": "tcp",
    "rediss": "tls",
    "unix": "unix",
}
_VERIFY: dict[str, Literal["required", "none"]] = {"required": "required", "none": "none"}
_SWITCH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_CONTROL = re.compile(r"[\x00-\x20\x7f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisAddress:
    """A server and database, and how to connect to it and verify it."""

    kind: Literal["tcp", "tls", "unix"]
    host: str = ""
    port: int = DEFAULT_PORT
    path: str = ""
    """The path of the socket, for `unix`."""
    db: int = 0
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    tls: tuple[tuple[str, str | bool], ...] = ()
    """All options of redis-py's TLS connections."""

    @property
    def where(self) -> str:
        """The server and database without credentials, for logs and errors."""
        if self.kind == "unix":
            return f"unix://{self.path}?db={self.db}"
        scheme = "rediss" if self.kind == "tls" else "redis"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{self.port}/{self.db}"

    @property
    def verified(self) -> bool:
        """False if TLS is used and the server's certificate or its name is not checked."""
        options = dict(self.tls)
        return not options or (
            options["ssl_cert_reqs"] == "required" and options["ssl_check_hostname"] is True
        )

    @property
    def is_local(self) -> bool:
        """Whether only this machine reaches it."""
        return self.kind == "unix" or is_loopback(self.host)

    def options(self) -> JsonObject:
        """Arguments of redis-py's connection classes, the same for the blocking and the async ones.

        RESP2 is always spoken: every server has it.
        """
        options: JsonObject = {
            "db": self.db,
            "username": self.username,
            "password": self.password,
            "protocol": 2,
            **dict(self.tls),
        }
        place = {"path": self.path} if self.kind == "unix" else {"host": self.host}
        return options | place | ({} if self.kind == "unix" else {"port": self.port})


class _Invalid(Exception):
    """The URL is invalid; the text is the reason, without any part that could be secret."""


def read_redis_url(url: str, *, setting: str = "redis_url") -> RedisAddress:
    """Read `redis://`, `rediss://` or `unix://`, as the IANA registrations and redis-py write them.

    Options are `db`, `username`, `password` and `protocol`; for `rediss://` also `ssl_cert_reqs`
    (`required` or `none`), `ssl_check_hostname`, `ssl_ca_certs`, `ssl_ca_path`, `ssl_certfile` and
    `ssl_keyfile`. Certificates are verified unless `ssl_cert_reqs=none` is given.

    Args:
        url: The URL.
        setting: The name of the setting that it comes from, for the error.

    Raises:
        UsageError: The URL is invalid. The message never contains a part that could be secret.
    """
    try:
        return _read(url.strip())
    except _Invalid as error:
        reason = str(error)
    # Outside of `except`: the errors of the standard library repeat parts of the URL.
    raise UsageError(
        f"The Redis URL (TEAMRUN_{setting.upper()}) is invalid: {reason}.", setting=setting
    )


def _read(url: str) -> RedisAddress:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        _refuse(f"it is malformed: write {_FORMS}, and {_ENCODE}")
    _check_shape(url, parts)
    options = _options(parts)
    username = _one("user name", parts.username, options.pop("username", None))
    password = _one("password", parts.password, options.pop("password", None))
    if parts.scheme == "unix":
        if parts.hostname or not parts.path.strip("/"):
            _refuse("unix:// needs an absolute path: write unix:///path/of/the.sock")
        database = options.pop("db", "0")
    else:
        database = _database(parts, options.pop("db", None))
    if not re.fullmatch("[0-9]{1,9}", database):
        _refuse("the database must be a number: write redis://host:6379/4 or ?db=4")
    return RedisAddress(
        kind=_KINDS[parts.scheme],
        host="" if parts.scheme == "unix" else _decode(parts.hostname or "localhost"),
        port=DEFAULT_PORT if port is None else port,
        path=_decode(parts.path) if parts.scheme == "unix" else "",
        db=int(database),
        username=username or None,
        password=password or None,
        tls=_tls(options) if parts.scheme == "rediss" else (),
    )


def _check_shape(url: str, parts: SplitResult) -> None:
    if parts.scheme not in _KINDS or "://" not in url:
        _refuse(f"write {_FORMS}")
    if _CONTROL.search(url):
        _refuse(f"it contains a blank or a control character: {_ENCODE}")
    if parts.fragment or "#" in url or "@" in parts.path or "@" in parts.query:
        _refuse(f"{_ENCODE}")
    if parts.port == 0:
        _refuse("port 0 cannot be connected to")


def _options(parts: SplitResult) -> dict[str, str]:
    known = (*_OPTIONS, *_TLS_OPTIONS) if parts.scheme == "rediss" else _OPTIONS
    options: dict[str, str] = {}
    try:
        pairs = parse_qsl(
            parts.query, keep_blank_values=True, strict_parsing=bool(parts.query), errors="strict"
        )
    except ValueError:
        _refuse(f"its options are malformed: write ?name=value&name=value, and {_ENCODE}")
    for name, value in pairs:
        if name not in known:
            _refuse_option(name, known)
        if name in options:
            _refuse(f"the option {name!r} occurs twice")
        options[name] = value
    if options.pop("protocol", "2") not in {"2", "3"}:
        _refuse("the option 'protocol' must be 2 or 3")
    return options


def _refuse_option(name: str, known: tuple[str, ...]) -> NoReturn:
    # A name that is no word may be part of a password with an unescaped `?`.
    if not re.fullmatch("[a-z_]{1,40}", name):
        _refuse(f"it has an unknown option: {_ENCODE}")
    if name in _TLS_OPTIONS:
        _refuse(f"the option {name!r} needs rediss://")
    close = get_close_matches(name, known, 1)
    hint = f"did you mean {close[0]!r}?" if close else f"known options: {', '.join(known)}"
    _refuse(f"it has no option {name!r}; {hint}")


def _one(what: str, from_authority: str | None, from_query: str | None) -> str | None:
    if from_authority and from_query:
        _refuse(f"the {what} occurs twice, before the host and as an option")
    return _decode(from_authority) if from_authority else from_query


def _database(parts: SplitResult, from_query: str | None) -> str:
    from_path = _decode(parts.path).strip("/")
    if from_path and from_query is not None and from_path != from_query:
        _refuse("the path and ?db= name different databases")
    return from_path or from_query or "0"


def _tls(options: dict[str, str]) -> tuple[tuple[str, str | bool], ...]:
    given = options.get("ssl_cert_reqs", "required").lower().removeprefix("cert_")
    verify = _VERIFY.get(given)
    if verify is None:
        _refuse("the option 'ssl_cert_reqs' must be required or none")
    check_name = _SWITCH.get(options.get("ssl_check_hostname", "true").lower())
    if check_name is None:
        _refuse("the option 'ssl_check_hostname' must be true or false")
    return (
        ("ssl_cert_reqs", verify),
        ("ssl_check_hostname", check_name and verify == "required"),
        *(
            (name, options[name])
            for name in ("ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile")
            if name in options
        ),
    )


def _decode(text: str) -> str:
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        _refuse("its percent-encoding is not UTF-8")


def _refuse(reason: str) -> NoReturn:
    raise _Invalid(reason)
