"""A call of the API as data: what is sent, and how its answer is read.

Above it: the functions in `calls/`, which make these. Below it: `sync_sender.py` and
`async_sender.py`, which send them. Nothing here does input or output, so one definition of a call
serves both clients.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from teamrun.client.errors import InvalidAnswerError
from teamrun.core.sse import Event as ServerSentEvent

__all__ = [
    "Blocking",
    "Call",
    "Download",
    "Journey",
    "Lines",
    "Page",
    "Paged",
    "Pause",
    "Polled",
    "Reply",
    "Request",
    "Step",
    "Streamed",
    "Upload",
    "ask",
]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Reply:
    """A complete answer that reports no error."""

    status: int
    headers: Mapping[str, str]
    """By name, in any case."""
    content: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.content.decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class Upload:
    """A file as the body of a request; it is read while it is sent."""

    path: Path
    media_type: str = "application/octet-stream"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request(Generic[T]):
    """One request, and the value of its answer."""

    method: str
    path: str
    """Below the URL of the API, percent-encoded."""
    read: Callable[[Reply], T]
    """Turns the answer into the value; raises ValueError if it is not of the expected form."""
    query: Mapping[str, str] = field(default_factory=dict[str, str])
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes | Upload | None = None
    wait_seconds: float = 0
    """How long the server may wait before it answers, in addition to the usual time."""
    is_long_poll: bool = False
    """Whether it follows something that goes on for long, so that it is retried as a stream is."""
    is_probe: bool = False
    """Whether a failure is the answer, so that the request is not retried."""

    def value(self, reply: Reply) -> T:
        """The value of an answer.

        Raises:
            InvalidAnswerError: The answer is not of the expected form.
        """
        try:
            return self.read(reply)
        except ValueError as error:
            raise InvalidAnswerError(
                f"The answer to {self.method} {self.path} cannot be read: {error}"
            ) from error


class Page(Protocol[T_co]):
    """One page of a list."""

    @property
    def data(self) -> Sequence[T_co]:
        """The items."""
        ...

    @property
    def next_cursor(self) -> str | None:
        """The cursor of the next page."""
        ...

    @property
    def has_more(self) -> bool:
        """Whether there is a next page."""
        ...


@dataclass(frozen=True, slots=True)
class Paged(Generic[T]):
    """A list, read page by page."""

    first: Request[Page[T]]

    def following(self, page: Page[T]) -> Request[Page[T]] | None:
        """The request for the next page; None after the last one."""
        if not page.has_more or page.next_cursor is None:
            return None
        return replace(self.first, query={**self.first.query, "after": page.next_cursor})


@dataclass(frozen=True, slots=True)
class Streamed(Generic[T]):
    """A stream of server-sent events, to the event `end`; it is resumed after an interruption."""

    path: str
    read: Callable[[ServerSentEvent], T]
    """Turns an event into an item; raises ValueError if it is not of the expected form."""
    query: Mapping[str, str] = field(default_factory=dict[str, str])
    after: str | None = None
    """The id of the last event that the client has."""


@dataclass(frozen=True, slots=True)
class Lines(Generic[T]):
    """A document with a JSON value per line, read while it arrives, and resumed where it broke."""

    path: str
    read: Callable[[bytes], T]
    """Turns a line into an item; raises ValueError if it is not of the expected form."""


@dataclass(frozen=True, slots=True)
class Polled(Generic[T]):
    """The states of a resource as it changes, to its last one."""

    first: Request[T]
    following: Callable[[T], Request[T | None] | None]
    """The long poll for the state after this one, whose value is None if nothing has changed; None
    after the last state."""
    interval: float
    """The least time between two states, in seconds."""


@dataclass(frozen=True, slots=True)
class Download:
    """The bytes of a resource, written into a file while they arrive."""

    request: Request[bytes]
    target: Path
    replace: bool = False
    """Whether an existing file may be replaced."""


@dataclass(frozen=True, slots=True)
class Pause:
    """A step of a journey: wait before the next one."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Blocking:
    """A step of a journey: work that waits for a disk, which an event loop leaves to a thread."""

    work: Callable[[], object]


Step: TypeAlias = Request[Any] | Pause | Blocking
"""What a journey asks its sender for: the value of a request, some time, or a thread."""

Journey: TypeAlias = Generator[Step, Any, T]
"""Several requests that form one call. It yields steps, receives their values, and returns its own
value; the sender of either client performs the steps."""


Call: TypeAlias = (
    Request[Any]
    | Paged[Any]
    | Streamed[Any]
    | Lines[Any]
    | Polled[Any]
    | Download
    | Pause
    | Blocking
    | Generator[Step, Any, Any]
)
"""Everything that a sender performs."""


def ask(request: Request[T]) -> Generator[Step, Any, T]:
    """The value of a request within a journey.

    It is used as `run = yield from ask(get_run(run_id))`.
    """
    value: T = yield request
    return value
