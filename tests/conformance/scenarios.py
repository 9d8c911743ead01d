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
from tests.conformance.records import batch_record
from tests.conformance.site import Site
from tests.support.receiver import Receiver
from tests.support.service import until

__all__ = ["SCENARIOS", "WHEN_LOST", "Begin", "Play", "Stage"]

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

    def pause(self) -> str:
        """Submit a run that is paused behind its tool call.

        If the time limit of a platform comes between the pause and the end of the call, the call
        is cancelled, and made again after the run is resumed. Another run is tried then.
        """
        run_id = ""
        for _ in range(5):
            run_id = self.hold()
            self.client.post(run_id, "pause")
            self.site.release(run_id, "one")
            self.client.until(run_id, "paused")
            if "tool.call.completed" in [each["type"] for each in self.client.events(run_id)]:
                break
        return run_id

    def receive(self, owner: str, count: int) -> list[Json]:
        """The events that the receiver has got of a run or a batch, when it has got that many.

        Each is signed, and comes again with nothing but the same content. They may come in any
        order.
        """
        receiver = self.site.receiver
        until(lambda: len(_of(receiver, owner)) >= count, f"{count} webhooks of {owner}")
        secret = self.client.get("/v1/webhook-secret")["secret"]
        received = [each for each in receiver.received if each.id.startswith(owner)]
        assert all(each.is_genuine(secret) for each in received)
        by_id = _of(receiver, owner)
        assert all(each.event == by_id[each.id] for each in received)
        return sorted(by_id.values(), key=lambda event: event["seq"])


def _of(receiver: Receiver, owner: str) -> dict[str, Json]:
    return {each.id: each.event for each in receiver.received if each.id.startswith(owner)}


Play = Generator[None, None, str | Json]
Begin = Callable[[Stage], Play]
SCENARIOS: dict[str, Begin] = {}
"""By their names."""

WHEN_LOST: dict[str, Begin] = {}
"""Those whose record is made when what executes runs is lost at the first `yield`."""


def scenario(begin: Begin) -> Begin:
    SCENARIOS[begin.__name__] = begin
    return begin


def when_lost(begin: Begin) -> Begin:
    WHEN_LOST[begin.__name__] = begin
    return begin


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


@scenario
def nobody_answers(stage: Stage) -> Play:
    run_id = stage.client.submit("ask_in_vain")
    stage.client.until_event(run_id, "run.input_required")
    yield
    return run_id


@scenario
def message_meanwhile(stage: Stage) -> Play:
    run_id = stage.hold("hold_and_talk")
    stage.client.post(run_id, "messages", {"content": "Be brief."})
    yield
    stage.site.release(run_id, "one")
    return run_id


# Pause


@scenario
def paused_and_resumed(stage: Stage) -> Play:
    run_id = stage.pause()
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
    run_id = stage.pause()
    yield
    stage.client.post(run_id, "cancel")
    return run_id


# Limits, and times


def _limited(**limits: Any) -> Begin:
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
    run_id = ""
    for _ in range(9):  # a slow machine may not get to the call in time
        run_id = stage.client.submit("hold", limits={"timeout_seconds": 1.0})
        if _in_time(stage, run_id, "tool.call.requested"):
            break
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
    run_id = ""
    for seconds in (4, 15, 45):
        deadline = (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()
        body = {"team": "ask", "input": "go", "deadline": deadline}
        answer = stage.client.create("/v1/runs", body)
        if answer.status_code != 202:  # it has taken that long to get there
            continue
        run_id = answer.json()["id"]
        if _in_time(stage, run_id, "run.input_required"):
            break
    yield
    return run_id


def _in_time(stage: Stage, run_id: str, event_type: str) -> bool:
    """Whether an event of this type comes, and no limit before."""
    for event in stage.client.stream(run_id):
        if event["type"] in (event_type, "limit.reached"):
            return event["type"] == event_type
    return False


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


# Effects


@when_lost
def effect_of_unknown_outcome(stage: Stage) -> Play:
    run_id = stage.hold("stamp")
    yield
    stage.client.until(run_id)
    assert stage.site.notes(run_id) == ["begun one"]
    return run_id


# Webhooks


@scenario
def webhook(stage: Stage) -> Play:
    url = f"{stage.site.receiver.url}/run"
    wish = {"url": url, "events": ["run.*"], "metadata": {"order": "7"}}
    run_id, action = stage.ask(webhook=wish)
    stage.receive(run_id, 3)
    yield
    stage.client.post(run_id, "input", {"action_id": action, "content": "blue"})
    stage.client.until(run_id)
    events = [e for e in stage.client.events(run_id) if e["type"].startswith("run.")]
    more = {"metadata": {"order": "7"}}
    sent = [{**event, "timestamp": event["time"], **more} for event in events]
    assert stage.receive(run_id, len(sent)) == sent
    return run_id


# Batches


@scenario
def batch_of_200(stage: Stage) -> Play:
    mark, size = uuid.uuid4().hex, 200
    tasks = [f"{'hold' if n % 100 == 7 else 'item'} {n} {mark}" for n in range(size)]
    items = [{"custom_id": f"c{n}", "input": task} for n, task in enumerate(tasks)]
    wish = {"url": f"{stage.site.receiver.url}/batch", "events": ["batch.*"]}
    body = {"team": "think", "items": items, "max_concurrency": 20, "webhook": wish}
    first = stage.client.create("/v1/batches", body, key=mark)
    batch_id = first.json()["id"]
    held = [task for task in tasks if task.startswith("hold")]
    stage.site.model.until_asked(held[0])
    yield
    assert stage.client.create("/v1/batches", body, key=mark).json()["id"] == batch_id
    for task in held:
        stage.site.model.release(task)
    record = batch_record(stage.client, batch_id)
    again = stage.client.create("/v1/batches", body, key=mark)
    assert (again.json()["id"], again.headers["idempotency-replayed"]) == (batch_id, "true")
    assert [(each["custom_id"], each["output"]["text"]) for each in record.pop("results")] == [
        (f"c{n}", f"answered: {task} DONE") for n, task in enumerate(tasks)
    ]
    stage.receive(batch_id, len(stage.client.events(batch_id, path="/v1/batches")))
    return record
