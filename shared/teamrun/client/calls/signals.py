"""Calls that change a run, or make another one from it."""

from typing import Any, Literal

from teamrun.client.building import given, path_of, post
from teamrun.client.calls.runs import run_of
from teamrun.client.requests import Request
from teamrun.json_types import JsonMapping
from teamrun.runs.log.entries import CancelMode, Decision
from teamrun.runs.log.limits import Limits
from teamrun.runs.log.spec import InputMessage
from teamrun.runs.service.requests import Overrides
from teamrun.runs.service.resources import Run

__all__ = ["answer", "cancel", "fork", "message", "pause", "resume", "retry"]


def answer(
    run_id: str,
    action_id: str,
    *,
    decision: Decision | None = None,
    content: str | None = None,
    data: Any = None,
    idempotency_key: str | None = None,
) -> Request[Run]:
    """Answer a question of a run; its `required_actions` has the open questions.

    Args:
        run_id: The run.
        action_id: The `id` of the question.
        decision: `approve` or `reject` for an approval.
        content: The answer as text, or the reason for a decision.
        data: The answer as data, if the question has a schema.
        idempotency_key: Repeating the call with the same key answers once.
    """
    body = given(action_id=action_id, decision=decision, content=content, data=data)
    return post(path_of("runs", run_id, "input"), run_of, body, idempotency_key=idempotency_key)


def message(
    run_id: str, content: str, *, source: str = "user", idempotency_key: str | None = None
) -> Request[Run]:
    """Send a message that the team receives before its next turn.

    Args:
        run_id: The run.
        content: The text.
        source: The name of the sender.
        idempotency_key: Repeating the call with the same key sends one message.
    """
    body = {"content": content, "source": source}
    return post(path_of("runs", run_id, "messages"), run_of, body, idempotency_key=idempotency_key)


def cancel(run_id: str, *, reason: str | None = None, mode: CancelMode = "now") -> Request[Run]:
    """End a run; a repetition changes nothing.

    Args:
        run_id: The run.
        reason: Stored in the run, as its `stop_reason`.
        mode: With `graceful`, calls in progress complete first.
    """
    return post(path_of("runs", run_id, "cancel"), run_of, given(mode=mode, reason=reason))


def pause(run_id: str) -> Request[Run]:
    """Start no more calls of a run; those in progress complete."""
    return post(path_of("runs", run_id, "pause"), run_of, {})


def resume(
    run_id: str,
    *,
    limits: Limits | JsonMapping | None = None,
    from_: Literal["here", "start"] | None = None,
) -> Request[Run]:
    """Continue a paused run, and change its limits.

    Args:
        run_id: The run.
        limits: The limits to change, also of a run that is not paused; the others stay.
        from_: `start` begins again, for a run that is paused because it has diverged.
    """
    body = given(limits=limits, **{"from": from_})
    return post(path_of("runs", run_id, "resume"), run_of, body)


def retry(
    run_id: str,
    *,
    from_: Literal["here", "start"] | None = None,
    idempotency_key: str | None = None,
) -> Request[Run]:
    """Create a run from the specification of one that has ended.

    Args:
        run_id: The run that has ended.
        from_: `here` shares everything before the calls that failed, and repeats only those.
        idempotency_key: Repeating the call with the same key returns the same run.
    """
    body = given(**{"from": from_})
    return post(path_of("runs", run_id, "retry"), run_of, body, idempotency_key=idempotency_key)


def fork(
    run_id: str,
    *,
    after_seq: int,
    input: str | InputMessage | None = None,
    overrides: Overrides | JsonMapping | None = None,
    limits: Limits | JsonMapping | None = None,
    idempotency_key: str | None = None,
) -> Request[Run]:
    """Create a run that shares the history of another up to an event.

    Args:
        run_id: The run whose history is shared.
        after_seq: The `seq` of the last event that the new run shares.
        input: A message to the team at that point.
        overrides: Settings of the team that the new run overrides.
        limits: The limits of the new run; it does not inherit those of the other.
        idempotency_key: Repeating the call with the same key returns the same run.
    """
    body = given(after_seq=after_seq, input=input, overrides=overrides, limits=limits)
    return post(path_of("runs", run_id, "fork"), run_of, body, idempotency_key=idempotency_key)
