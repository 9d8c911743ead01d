"""The runs that every host executes, each with what clients do to it.

A scenario is a generator that plays a client. At each `yield` the host may be disturbed: what
executes runs may be ended or lost there. It returns what is compared, by default the id of its
run. The record is the same whatever happens at a `yield`.
"""

import uuid
from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.conformance.client import Client
from tests.conformance.site import Site

__all__ = ["SCENARIOS", "Play", "Stage"]

Json = dict[str, Any]


@dataclass(frozen=True)
class Stage:
    """What a scenario plays with."""

    client: Client
    site: Site

    def hold(self, team: str = "hold", name: str = "one", **body: Any) -> str:
        """Submit a run, and wait until its tool call has begun; it ends when it is released."""
        run_id = self.client.submit(team, **body)
        self.site.until_begun(run_id, name)
        return run_id

    def ask(self, team: str = "ask", **body: Any) -> tuple[str, str]:
        """Submit a run, and wait until it asks; its id and that of its question."""
        run_id = self.client.submit(team, **body)
        [action] = self.client.until(run_id, "input_required")["required_actions"]
        return run_id, action["id"]


Play = Generator[None, None, str | Json]
SCENARIOS: dict[str, Callable[[Stage], Play]] = {}
"""By their names."""


def scenario(play: Callable[[Stage], Play]) -> Callable[[Stage], Play]:
    SCENARIOS[play.__name__] = play
    return play


# The course of a run


@scenario
def plain(stage: Stage) -> Play:
    run_id = stage.client.submit("talk", metadata={"order": "7"}, tags=["suite"])
    yield
    streamed = list(stage.client.stream(run_id))
    assert streamed == stage.client.events(run_id) == stage.client.lines(run_id)
    for event in streamed[::3]:
        assert list(stage.client.stream(run_id, after=event["id"])) == streamed[event["seq"] :]
    return run_id


@scenario
def model_over_http(stage: Stage) -> Play:
    task = f"hold {uuid.uuid4().hex}"
    run_id = stage.client.submit("think", input=task)
    stage.site.model.until_asked(task)
    yield
    stage.site.model.release(task)
    return run_id


@scenario
def model_refuses_the_key(stage: Stage) -> Play:
    run_id = stage.client.submit("refused")
    yield
    return run_id


@scenario
def tools(stage: Stage) -> Play:
    run_id = stage.client.submit("files")
    yield
    assert stage.client.until(run_id)["artifacts_count"] == 1
    file = stage.client.http.get(f"/v1/runs/{run_id}/artifacts/note.txt", follow_redirects=True)
    assert file.content == b"kept"
    return run_id


@scenario
def two_tools_at_once(stage: Stage) -> Play:
    run_id = stage.hold("two_at_once", "first")
    stage.site.until_begun(run_id, "second")
    yield
    stage.site.release(run_id, "second")
    stage.client.until_event(run_id, "tool.call.completed")
    yield
    stage.site.release(run_id, "first")
    return run_id


@scenario
def five_calls(stage: Stage) -> Play:
    run_id = stage.client.submit("carry")
    for name in ("one", "two", "three", "four", "five"):
        stage.site.until_begun(run_id, name)
        yield
        stage.site.release(run_id, name)
    return run_id


@scenario
def failing_agent(stage: Stage) -> Play:
    run_id = stage.client.submit("fail")
    yield
    return run_id


@scenario
def retried_after_a_failure(stage: Stage) -> Play:
    run_id = stage.client.submit("try", retry={"max_attempts": 2, "backoff_seconds": 0.1})
    yield
    return run_id


# People


@scenario
def person_answers(stage: Stage) -> Play:
    run_id, action = stage.ask()
    yield
    stage.client.post(run_id, "input", {"action_id": action, "content": "blue"})
    return run_id


@scenario
def tool_approved(stage: Stage) -> Play:
    run_id, action = stage.ask("pay")
    yield
    assert stage.site.notes(run_id) == []
    stage.client.post(run_id, "input", {"action_id": action, "decision": "approve"})
    stage.client.until(run_id)
    assert stage.site.notes(run_id) == ["wrote paid"]
    return run_id


@scenario
def tool_rejected(stage: Stage) -> Play:
    run_id, action = stage.ask("pay")
    yield
    stage.client.post(run_id, "input", {"action_id": action, "decision": "reject"})
    stage.client.until(run_id)
    assert stage.site.notes(run_id) == []
    return run_id


# Pause


@scenario
def paused_and_resumed(stage: Stage) -> Play:
    run_id = stage.hold()
    stage.client.post(run_id, "pause")
    stage.site.release(run_id, "one")
    stage.client.until(run_id, "paused")
    yield
    stage.client.post(run_id, "resume")
    return run_id


# Cancel, in each phase


@scenario
def cancelled_before_its_start(stage: Stage) -> Play:
    run_id = stage.client.submit("talk", delay_seconds=3600)
    yield
    stage.client.post(run_id, "cancel", {"reason": "not needed"})
    return run_id


@scenario
def cancelled_in_a_model_call(stage: Stage) -> Play:
    task = f"hold {uuid.uuid4().hex}"
    run_id = stage.client.submit("think", input=task)
    stage.client.until_event(run_id, "model.call.started")
    yield
    stage.client.post(run_id, "cancel")
    return run_id


@scenario
def cancelled_in_a_tool_call(stage: Stage) -> Play:
    run_id = stage.hold()
    yield
    stage.client.post(run_id, "cancel")
    return run_id


@scenario
def cancelled_behind_a_tool_call(stage: Stage) -> Play:
    run_id = stage.hold()
    stage.client.post(run_id, "cancel", {"mode": "graceful"})
    stage.site.release(run_id, "one")
    yield
    return run_id


@scenario
def cancelled_while_it_asks(stage: Stage) -> Play:
    run_id, _ = stage.ask()
    yield
    stage.client.post(run_id, "cancel")
    return run_id


@scenario
def cancelled_while_paused(stage: Stage) -> Play:
    run_id = stage.hold()
    stage.client.post(run_id, "pause")
    stage.site.release(run_id, "one")
    stage.client.until(run_id, "paused")
    yield
    stage.client.post(run_id, "cancel")
    return run_id


# Limits, and times


def _limited(**limits: Any) -> Callable[[Stage], Play]:
    def play(stage: Stage) -> Play:
        run_id = stage.client.submit("talk", limits=limits)
        yield
        return run_id

    return play


SCENARIOS["limit_of_turns"] = _limited(max_turns=2)
SCENARIOS["limit_of_model_calls"] = _limited(max_model_calls=2)
SCENARIOS["limit_of_tokens"] = _limited(max_output_tokens=2)
SCENARIOS["limit_of_cost"] = _limited(max_cost_usd="0.000004")


@scenario
def limit_of_tool_calls(stage: Stage) -> Play:
    run_id = stage.client.submit("files", limits={"max_tool_calls": 1})
    yield
    return run_id


@scenario
def limit_of_seconds(stage: Stage) -> Play:
    run_id = stage.client.submit("hold", limits={"timeout_seconds": 0.5})
    yield
    return run_id


@scenario
def limit_that_is_raised(stage: Stage) -> Play:
    limits = {"max_model_calls": 2, "on_limit": "pause"}
    run_id = stage.client.submit("talk", limits=limits)
    stage.client.until(run_id, "paused")
    yield
    stage.client.post(run_id, "resume", {"limits": {"max_model_calls": 9}})
    return run_id


@scenario
def scheduled(stage: Stage) -> Play:
    run_id = stage.client.submit("talk", delay_seconds=1)
    assert stage.client.run(run_id)["status"] == "scheduled"
    yield
    return run_id


@scenario
def expired(stage: Stage) -> Play:
    run_id = stage.client.submit("talk", expires_in_seconds=0.00001)
    yield
    return run_id


@scenario
def deadline_while_it_asks(stage: Stage) -> Play:
    deadline = datetime.now(UTC) + timedelta(seconds=4)
    run_id, _ = stage.ask(deadline=deadline.isoformat())
    yield
    return run_id


# What follows a run


@scenario
def forked(stage: Stage) -> Play:
    parent = stage.client.submit("talk")
    events = list(stage.client.stream(parent))
    second = [event for event in events if event["type"] == "turn.completed"][1]
    fork = stage.client.post(parent, "fork", {"after_seq": second["seq"]})
    yield
    return fork["id"]


@scenario
def begun_anew(stage: Stage) -> Play:
    parent = stage.client.submit("talk")
    stage.client.until(parent)
    retry = stage.client.post(parent, "retry")
    yield
    return retry["id"]
