"""Connections to Bedrock: one SDK client per place, and connections that a caller can hang up.

boto3 blocks, so its calls run in threads. A thread cannot be interrupted; but its connection can be
shut down from outside, and the thread returns at once. So a cancelled call leaves no thread behind,
and the service stops generating.
"""

import contextlib
import logging
import os
import socket
import threading
import weakref
from collections.abc import Iterable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

import boto3
from botocore.awsrequest import (
    AWSHTTPConnection,
    AWSHTTPConnectionPool,
    AWSHTTPSConnection,
    AWSHTTPSConnectionPool,
)
from botocore.config import Config
from urllib3.exceptions import HTTPError

from teamrun.json_types import JsonObject
from teamrun.tools.threads import ThreadPool
from teamrun.version import __version__

__all__ = [
    "AwsKeys",
    "Connection",
    "HungUp",
    "Line",
    "Place",
    "Runtime",
    "connection_to",
    "has_schemas",
    "threads",
]

logger = logging.getLogger(__name__)

CALLS = 256
"""Calls at a time in one process; the next ones wait. A worker has at most 200 runs in flight."""
_CONNECT_SECONDS = 10.0
_SCHEMAS_SINCE = (1, 42, 42)
_SECRET_HEADERS = ("authorization", "x-amz-security-token")


class EventStream(Protocol):
    """The events of a stream, as the SDK returns them."""

    def __iter__(self) -> Iterator[JsonObject]:
        """Yields each event as an object with one member."""
        ...

    def close(self) -> None:
        """Close the connection, unless the stream has come to its end."""
        ...


class Runtime(Protocol):
    """The part of boto3's `bedrock-runtime` client that is used here."""

    def converse(self, **arguments: Any) -> JsonObject:
        """Call a model; returns its whole answer."""
        ...

    def converse_stream(self, **arguments: Any) -> Mapping[str, EventStream]:
        """Call a model; `stream` of the response has the events of the answer."""
        ...

    def close(self) -> None:
        """Close the connections."""
        ...


@dataclass(frozen=True, slots=True)
class AwsKeys:
    """Credentials that a program has itself, in place of the SDK's own sources."""

    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


class Place(NamedTuple):
    """What a client of the SDK is for."""

    region: str | None
    """None: as in the environment or in the profile."""
    endpoint: str | None
    profile: str | None
    timeout_seconds: float
    """The longest silence of the service."""
    keys: AwsKeys | None = None
    """None: from the SDK's own sources."""


class HungUp(HTTPError):
    """The call was cancelled, and its connection shut down."""


_line: ContextVar["Line | None"] = ContextVar("teamrun_bedrock_line", default=None)
_switch = threading.Lock()
"""Held while a connection gets another user, or is shut down: both never happen together."""


class Line:
    """The connection of one call."""

    def __init__(self) -> None:
        self.secrets: list[str] = []
        """Values that were sent or with which a request was signed; they must not appear in a
        message."""
        self.is_used = False
        """Whether a request was sent."""
        self._connection: _Held | None = None
        self._is_hung_up = False

    def __enter__(self) -> None:
        """Connections that this context opens or reuses belong to the call."""
        _line.set(self)

    def __exit__(self, *_: object) -> None:
        _line.set(None)
        with _switch:
            if self._connection is not None and self._connection.line is self:
                self._connection.line = None
            self._connection = None

    def hang_up(self) -> None:
        """Shut the connection down, from any thread; what waits for it fails at once."""
        with _switch:
            self._is_hung_up = True
            connection = self._connection
            if connection is not None and connection.line is self:
                _shut_down(connection.sock)

    def take(self, connection: "_Held") -> None:
        """Use a connection from now on.

        Raises:
            HungUp: The call was cancelled before.
        """
        with _switch:
            self._connection, connection.line = connection, self
            if self._is_hung_up:
                raise HungUp("The call was cancelled.")

    def note(self, headers: Mapping[str, Any]) -> None:
        """Remember that a request is sent, and what in it must stay secret."""
        self.is_used = True
        sent = [
            value.decode("latin-1") if isinstance(value, bytes) else str(value)
            for name, value in headers.items()
            if name.lower() in _SECRET_HEADERS
        ]
        self.secrets += [part for value in sent for part in (value, *_parts(value))]


# A mixin that is typed like the class it is mixed into.
_Base = AWSHTTPConnection if TYPE_CHECKING else object


class _Held(_Base):
    """Mixed into the SDK's connections: each belongs to the call that uses it."""

    line: Line | None = None

    def connect(self) -> None:
        """Connect, unless the call was cancelled before or is meanwhile."""
        line = _line.get()
        if line is not None:
            line.take(self)
        super().connect()
        if line is not None:
            line.take(self)

    def request(self, *args: Any, **kwargs: Any) -> Any:
        """Send a request for the call of this context."""
        line = _line.get()
        if line is not None:
            line.take(self)
            line.note(kwargs.get("headers") or {})
        return super().request(*args, **kwargs)


class _Http(_Held, AWSHTTPConnection):
    pass


class _Https(_Held, AWSHTTPSConnection):
    pass


class _HttpPool(AWSHTTPConnectionPool):
    ConnectionCls = _Http


class _HttpsPool(AWSHTTPSConnectionPool):
    ConnectionCls = _Https


_POOLS = {"http": _HttpPool, "https": _HttpsPool}


@dataclass(slots=True, eq=False, weakref_slot=True)
class Connection:
    """One client of the SDK, made when it is first needed; safe to use from many threads."""

    place: Place
    pid: int
    ready: Runtime | None = None
    """The client of the SDK, once it is made."""

    def runtime(self) -> Runtime:
        """The SDK's client; making it reads files and takes 100 ms, so not in an event loop."""
        with _making:
            if self.ready is None:
                self.ready = _made(self.place)
                weakref.finalize(self, self.ready.close).atexit = False
            return self.ready


_making = threading.Lock()
"""boto3 sessions are not to be used by several threads."""
_known: weakref.WeakValueDictionary[tuple[Place, int], Connection] = weakref.WeakValueDictionary()


def connection_to(place: Place) -> Connection:
    """The connection that all clients for the same place share; closed when the last forgets it."""
    key = (place, os.getpid())  # sockets must not be shared with a forked process
    with _making:
        found = _known.get(key)
        if found is None:
            found = _known[key] = Connection(*key)
        return found


_threads: dict[int, ThreadPool] = {}


def threads() -> ThreadPool:
    """The threads of this process for calls of Bedrock."""
    pid = os.getpid()
    if pid not in _threads:
        _threads.clear()  # threads do not survive a fork
        _threads[pid] = ThreadPool(CALLS)
    return _threads[pid]


def has_schemas() -> bool:
    """Whether this boto3 knows `outputConfig`; the one of a platform's own may be older."""
    version = boto3.__version__.split(".")
    return tuple(int(part) for part in version[:3] if part.isdigit()) >= _SCHEMAS_SINCE


def _made(place: Place) -> Runtime:
    keys = place.keys
    session = boto3.Session(
        aws_access_key_id=keys and keys.access_key,
        aws_secret_access_key=keys and keys.secret_key,
        aws_session_token=keys and keys.session_token,
        profile_name=place.profile,
        region_name=place.region,
    )
    config = Config(
        connect_timeout=min(place.timeout_seconds, _CONNECT_SECONDS),
        read_timeout=place.timeout_seconds,
        max_pool_connections=CALLS,
        retries={"total_max_attempts": 1},
        tcp_keepalive=True,
        user_agent_extra=f"teamrun/{__version__}",
    )
    client: Any = session.client("bedrock-runtime", endpoint_url=place.endpoint, config=config)
    if (credentials := session.get_credentials()) is not None:

        def keep_secret(request: Any, **_: Any) -> None:
            # They have just signed the request, so this does not fetch them.
            if (line := _line.get()) is not None and not _is_bearer(request.headers):
                line.secrets.append(credentials.get_frozen_credentials().secret_key or "")

        client.meta.events.register("before-send.bedrock-runtime", keep_secret)
    try:
        http = client._endpoint.http_session
        http._pool_classes_by_scheme = http._manager.pool_classes_by_scheme = _POOLS
    except AttributeError:  # another release of botocore; a cancelled call waits for its answer
        logger.warning(
            "This release of botocore does not let calls of Bedrock be interrupted",
            extra={"action": "bedrock.not_interruptible"},
        )
    return cast(Runtime, client)


def _is_bearer(headers: Mapping[str, Any]) -> bool:
    sent = headers.get("Authorization", "")
    return (sent.decode("latin-1") if isinstance(sent, bytes) else sent).startswith("Bearer ")


def _shut_down(sock: Any) -> None:
    with contextlib.suppress(OSError, AttributeError, ValueError):
        if isinstance(sock, socket.socket):
            # Not SSLSocket's own, which drops its state while another thread reads.
            socket.socket.shutdown(sock, socket.SHUT_RDWR)
        else:
            sock.shutdown(socket.SHUT_RDWR)


def _parts(authorization: str) -> Iterable[str]:
    """The key id and the signature in an Authorization header, or its bearer token."""
    if authorization.startswith("Bearer "):
        return (authorization.removeprefix("Bearer "),)
    parts = [part.partition("=") for part in authorization.replace(",", " ").split()]
    found = {name: value for name, _, value in parts}
    key_id = found.get("Credential", "").partition("/")[0]
    return [part for part in (key_id, found.get("Signature", "")) if part]
