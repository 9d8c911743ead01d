"""People of a definition: their questions, and the end of questions without an answer."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest
from tests.support.runs import TENANT, Cluster, ShiftedClock

from teamrun.core.refs import RunRef
from teamrun.errors import UnfitAnswer
from teamrun.runs.durable.team import team_program
from teamrun.runs.engine.engine import Engine
from teamrun.runs.engine.finish import Finish
from teamrun.runs.log.keys import due_marker, open_marker
from teamrun.runs.service.requests import Answer
from teamrun.runs.service.resources import Run
from teamrun.testing.faults import Fault, FaultStore

FORM: dict[str, Any] = {
    "type": "object",
    "properties": {"amount": {"type": "integer", "minimum": 1}, "a/b": {"type": "string"}},
    "required": ["amount"],
}


def asking(**person: Any) -> Cluster:
    """A team whose assistant speaks after a person has."""
    team = {
        "type": "round_robin_group_chat",
        "participants": [
            {"type": "user_proxy_agent", "name": "boss", **person},
            {"type": "assistant_agent", "name": "a", "model": "m"},
        ],
        "max_turns": 2,
    }
    return Cluster({"a": ["so be it"]}, team=team)


async def step(cluster: Cluster, ref: RunRef, owner: str) -> Run:
    worker = cluster.worker(owner)
    await worker.execute(ref)
    await worker.close()
    return await cluster.service.get(TENANT, ref.run_id)


async def said(cluster: Cluster, ref: RunRef) -> list[str]:
    result = await cluster.service.result(TENANT, ref.run_id)
    return [message["content"] for message in result.messages]


async def test_a_form_is_shown_and_its_data_is_the_answer() -> None:
    cluster = asking(input_schema=FORM)
    ref = await cluster.submit()
    [action] = (await step(cluster, ref, "w1")).required_actions
    assert action.schema_ == FORM
    answer = Answer(action_id=action.id, data={"amount": 3})
    await cluster.service.answer(TENANT, ref.run_id, answer)
    assert (await step(cluster, ref, "w2")).status == "completed"
    [_, spoken, _] = await said(cluster, ref)
    assert json.loads(spoken) == {"amount": 3}


@pytest.mark.parametrize(
    ("data", "pointer"),
    [
        (None, "/data"),
        ({"amount": 0}, "/data/amount"),
        ({"amount": 1, "a/b": 2}, "/data/a~1b"),
        ({"amount": 1, "more": [0] * 1_001}, "/data"),
    ],
)
async def test_data_that_does_not_fit_the_form_is_refused_at_its_place(
    data: Any, pointer: str
) -> None:
    cluster = asking(input_schema=FORM)
    ref = await cluster.submit()
    [action] = (await step(cluster, ref, "w1")).required_actions
    answer = Answer(action_id=action.id, data=data)
    with pytest.raises(UnfitAnswer) as caught:
        await cluster.service.answer(TENANT, ref.run_id, answer)
    assert caught.value.pointer == pointer


async def expired(cluster: Cluster) -> tuple[RunRef, Run]:
    ref = await cluster.submit()
    [action] = (await step(cluster, ref, "w1")).required_actions
    assert action.expires_at is not None
    cluster.clock.shift += timedelta(seconds=61)
    return ref, await step(cluster, ref, "w2")


async def test_a_question_that_expires_fails_the_run() -> None:
    cluster = asking(expires_in_seconds=60)
    _, run = await expired(cluster)
    assert (run.status, run.stop_code, run.required_actions) == ("failed", "unanswered", [])
    assert run.error is not None and "in time" in run.error.message


@pytest.mark.parametrize(
    ("person", "spoken"),
    [
        ({"default_answer": "go ahead"}, "go ahead"),
        ({"default_answer": {"amount": 2}, "input_schema": FORM}, '{"amount":2}'),
    ],
)
async def test_a_default_answer_is_used_after_the_question_expired(
    person: dict[str, Any], spoken: str
) -> None:
    cluster = asking(expires_in_seconds=60, **person)
    ref, run = await expired(cluster)
    assert run.status == "completed"
    assert await said(cluster, ref) == ["go", spoken, "so be it"]
    page = await cluster.service.events(TENANT, ref.run_id, limit=99)
    [received] = [event for event in page.data if event.type == "run.input_received"]
    assert received.data["decision"] == "expired"


async def test_an_answer_in_time_wins_over_the_default() -> None:
    cluster = asking(expires_in_seconds=60, default_answer="go ahead")
    ref = await cluster.submit()
    [action] = (await step(cluster, ref, "w1")).required_actions
    answer = Answer(action_id=action.id, content="stop")
    await cluster.service.answer(TENANT, ref.run_id, answer)
    cluster.clock.shift += timedelta(seconds=61)
    await step(cluster, ref, "w2")
    assert await said(cluster, ref) == ["go", "stop", "so be it"]


async def test_an_answer_that_is_first_leaves_no_trace_of_an_expiry() -> None:
    cluster = asking(expires_in_seconds=60)
    ref = await cluster.submit()
    [action] = (await step(cluster, ref, "w1")).required_actions
    store, ahead = FaultStore(cluster.store), ShiftedClock()
    ahead.shift = timedelta(minutes=2)
    expiry = store.plan(Fault(outcome="held", method="put_new", key="*/log/000004.json"))
    worker = Engine(
        store=store,
        live=cluster.live,
        dispatcher=cluster.queue,
        program=team_program(cluster.registry),
        owner="w2",
        clock=ahead,
    )
    task = asyncio.ensure_future(worker.execute(ref))
    await asyncio.wait_for(expiry.reached.wait(), 10)
    answer = Answer(action_id=action.id, content="just in time")
    await cluster.service.answer(TENANT, ref.run_id, answer)
    expiry.release.set()
    assert await asyncio.wait_for(task, 10) is Finish.ENDED
    await worker.close()
    assert (await said(cluster, ref))[1] == "just in time"
    assert (await cluster.event_types(ref)).count("run.input_received") == 1


async def test_a_deadline_before_the_expiry_of_a_question_ends_the_run() -> None:
    cluster = asking(expires_in_seconds=60, default_answer="go ahead")
    deadline = cluster.clock.now() + timedelta(seconds=30)
    ref = await cluster.submit(deadline=deadline.isoformat())
    await step(cluster, ref, "w1")
    cluster.clock.shift += timedelta(seconds=90)
    run = await step(cluster, ref, "w2")
    assert (run.status, run.stop_code) == ("incomplete", "deadline")
    assert "run.input_received" not in await cluster.event_types(ref)


async def test_the_marker_of_a_question_stays_as_long_as_its_hour() -> None:
    cluster = asking(expires_in_seconds=1)
    ref = await cluster.submit()
    await step(cluster, ref, "w1")
    state = await cluster.log(ref).state()
    assert state is not None and state.waiting is not None and state.waiting.until is not None
    marker = due_marker(ref, state.waiting.until)
    [action] = (await cluster.service.get(TENANT, ref.run_id)).required_actions
    answer = Answer(action_id=action.id, content="yes")
    await cluster.service.answer(TENANT, ref.run_id, answer)
    # A worker that puts the run aside again at this moment finds the marker there.
    await cluster.reaper().sweep()
    assert marker in await cluster.store.list("due/")
    cluster.clock.shift += timedelta(hours=2)
    await cluster.reaper().sweep()
    assert marker not in await cluster.store.list("due/")
    assert await cluster.store.list("open/") == [open_marker(ref)]


async def test_a_run_that_begins_to_wait_waits_for_storage_as_long_as_it_takes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    cluster = asking(expires_in_seconds=60)
    ref = await cluster.submit()
    store = FaultStore(cluster.store)
    store.plan(Fault(outcome="unavailable", method="put_new", key="due/*"))
    worker = Engine(
        store=store,
        live=cluster.live,
        dispatcher=cluster.queue,
        program=team_program(cluster.registry),
        owner="w1",
        clock=cluster.clock,
    )
    assert await worker.execute(ref) is Finish.WAITING
    await worker.close()
    assert len(await cluster.store.list("due/")) == 2  # the question's, and one for good measure
    (line,) = [each.__dict__ for each in caplog.records if each.levelname == "WARNING"]
    assert (line["action"], line["run_id"]) == ("storage.retried", ref.run_id)
