"""Journeys that wait for a run."""

import time
from collections.abc import Callable
from typing import Literal, Protocol, TypeVar, Unpack

from teamrun.client.calls.run_options import RunOptions, Task, Team
from teamrun.client.calls.runs import get_run, poll_run, submit
from teamrun.client.errors import WaitTimeoutError
from teamrun.client.requests import Journey, Pause, Request, ask
from teamrun.runs.log.status import AT_REST, TERMINAL
from teamrun.runs.service.resources import Run

__all__ = ["POLL_S", "Until", "awaited", "submit_and_wait", "wait"]

Until = Literal["rest", "end"]
"""`rest`: until the run has ended, or nothing happens before a client acts (`input_required`,
`paused`, `unreadable`). `end`: until it has ended."""

POLL_S = 30.0
"""The longest wait of one request, in seconds. Many proxies close a connection that is silent for
60 seconds."""

_SOON_S = 1.0


def wait(run_id: str, *, timeout: float | None = None, until: Until = "rest") -> Journey[Run]:
    """Wait for a run: until it has ended, or waits for a person.

    Args:
        run_id: The run.
        timeout: How long to wait, in seconds; without it, for as long as it takes.
        until: `end` continues to wait while the run waits for a person or is paused.

    Raises:
        WaitTimeoutError: The time is over. The run continues.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    run = yield from ask(get_run(run_id))
    return (yield from _followed(run, deadline, until))


def submit_and_wait(
    team: Team,
    input: Task,
    *,
    timeout: float | None = None,
    until: Until = "rest",
    idempotency_key: str | None = None,
    **options: Unpack[RunOptions],
) -> Journey[Run]:
    """Submit a run and wait until it has ended, or waits for a person.

    Args:
        team: The name of a registered team, or a definition.
        input: The task.
        timeout: How long to wait, in seconds; without it, for as long as it takes.
        until: `end` continues to wait while the run waits for a person or is paused.
        idempotency_key: Repeating the call with the same key returns the same run.
        **options: Fields of `RunOptions`.

    Raises:
        WaitTimeoutError: The time is over. The run continues; `id` names it.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    wait_seconds = POLL_S if timeout is None else min(timeout, POLL_S)
    request = submit(
        team, input, idempotency_key=idempotency_key, wait_seconds=wait_seconds, **options
    )
    run = yield from ask(request)
    return (yield from _followed(run, deadline, until))


def _followed(run: Run, deadline: float | None, until: Until) -> Journey[Run]:
    done = TERMINAL | AT_REST if until == "rest" else TERMINAL

    def poll(current: Run, seconds: float) -> Request[Run | None]:
        # At rest, only a change is news; otherwise the server waits for rest or end.
        known = current.revision if current.status in AT_REST else None
        return poll_run(current.id, wait_seconds=seconds, after_revision=known)

    return awaited(run, deadline, done, poll)


class _Awaited(Protocol):
    @property
    def id(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def revision(self) -> int: ...


T = TypeVar("T", bound=_Awaited)


def awaited(
    state: T,
    deadline: float | None,
    done: frozenset[str],
    poll: Callable[[T, float], Request[T | None]],
) -> Journey[T]:
    """Poll a resource until it has one of some statuses.

    Args:
        state: Its state now.
        deadline: Until when to wait, on the clock of `time.monotonic`.
        done: The statuses.
        poll: The long poll for a state after this one, which waits so many seconds.

    Raises:
        WaitTimeoutError: The time is over.
    """
    while state.status not in done:
        left = POLL_S if deadline is None else deadline - time.monotonic()
        if left <= 0:
            raise WaitTimeoutError(
                f"{state.id} is {state.status}; the time to wait for it is over.",
                id=state.id,
                status=state.status,
            )
        asked, before = time.monotonic(), state
        state = (yield from ask(poll(state, min(left, POLL_S)))) or state
        has_moved = state.status != before.status
        if state.status not in done and not has_moved and time.monotonic() - asked < _SOON_S:
            # The server grants no wait, or is about to stop.
            yield Pause(max(0.0, min(_SOON_S, left)))
    return state
