"""Journeys that wait for a run."""

import time
from typing import Literal, Unpack

from teamrun.client.calls.run_options import RunOptions, Task, Team
from teamrun.client.calls.runs import get_run, poll_run, submit
from teamrun.client.errors import WaitTimeoutError
from teamrun.client.requests import Journey, Pause, ask
from teamrun.runs.log.status import AT_REST, TERMINAL
from teamrun.runs.service.resources import Run

__all__ = ["Until", "submit_and_wait", "wait"]

Until = Literal["rest", "end"]
"""`rest`: until the run has ended, or nothing happens before a client acts (`input_required`,
`paused`, `unreadable`). `end`: until it has ended."""

_POLL_S = 30.0
"""Below the 60 s after which many proxies close a silent connection."""

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
        WaitTimeoutError: The time is over. The run continues; `run_id` names it.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    wait_seconds = _POLL_S if timeout is None else min(timeout, _POLL_S)
    request = submit(
        team, input, idempotency_key=idempotency_key, wait_seconds=wait_seconds, **options
    )
    run = yield from ask(request)
    return (yield from _followed(run, deadline, until))


def _followed(run: Run, deadline: float | None, until: Until) -> Journey[Run]:
    done = TERMINAL | AT_REST if until == "rest" else TERMINAL
    while run.status not in done:
        left = _POLL_S if deadline is None else deadline - time.monotonic()
        if left <= 0:
            raise WaitTimeoutError(
                f"Run {run.id} is {run.status}; the time to wait for it is over.",
                run_id=run.id,
                status=run.status,
            )
        asked = time.monotonic()
        # At rest, only a change is news; otherwise the server waits for rest or end.
        known = run.revision if run.status in AT_REST else None
        poll = poll_run(run.id, wait_seconds=min(left, _POLL_S), after_revision=known)
        news = yield from ask(poll)
        is_answered = run.status in AT_REST and news is not None
        run = news or run
        if not is_answered and run.status not in done and time.monotonic() - asked < _SOON_S:
            # The server grants no wait, or is about to stop.
            yield Pause(_SOON_S if deadline is None else max(0.0, min(_SOON_S, left)))
    return run
