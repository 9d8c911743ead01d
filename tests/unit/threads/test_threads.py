"""Runs continue a thread: one after the other, from the state that the one before has left."""

from typing import Any

import pytest
from tests.support.runs import TENANT, Cluster, solo

from teamrun.components.registry import Registry
from teamrun.core.refs import RunRef
from teamrun.errors import ThreadBusy, ThreadNotFound
from teamrun.runs.service.requests import RetryRequest, RunRequest
from teamrun.runs.service.resources import Run
from teamrun.storage.base import ObjectStore
from teamrun.testing import ScriptedModel
from teamrun.threads.requests import ThreadRequest

TEAM = {**solo(), "max_turns": 1}
LONG = {**TEAM, "max_turns": 2}


class Conversation:
    """A cluster with a thread."""

    def __init__(self, store: ObjectStore | None = None) -> None:
        self.model = ScriptedModel({"a": ["Rain."] * 3}, record=True)
        broken = ScriptedModel({"a": []})  # a call without an answer fails
        registry = Registry.of(teams={"team": TEAM}, models={"m": self.model, "broken": broken})
        self.cluster = Cluster({}, team=TEAM, registry=registry, store=store)
        self.thread_id = ""

    async def begin(self) -> "Conversation":
        created = await self.cluster.threads.create(TENANT, ThreadRequest())
        self.thread_id = created.thread.id
        return self

    async def submit(self, task: str, **request: Any) -> RunRef:
        return await self.cluster.submit(task, thread_id=self.thread_id, **request)

    async def work(self) -> None:
        """Deliver all messages of the queue to one worker."""
        worker = self.cluster.worker()
        await self.cluster.queue.deliver(worker.execute)

    async def run(self, ref: RunRef) -> Run:
        return await self.cluster.service.get(TENANT, ref.run_id)

    async def said(self) -> list[str]:
        page = await self.cluster.threads.messages(TENANT, self.thread_id, limit=100)
        return [str(each.message["content"]) for each in page.data]

    def heard(self, call: int) -> list[str]:
        """The texts that the model was sent with a call, without the system message."""
        return [str(message.content) for message in self.model.calls[call].messages][1:]


async def test_a_run_continues_from_the_state_that_the_one_before_has_left() -> None:
    talk = await Conversation().begin()
    first = await talk.submit("One")
    await talk.work()
    second = await talk.submit("Two")
    await talk.work()

    assert [(await talk.run(each)).status for each in (first, second)] == ["completed"] * 2
    assert talk.heard(1) == ["One", "Rain.", "Two"]
    assert await talk.said() == ["One", "Rain.", "Two", "Rain."]
    assert (await talk.run(second)).thread_id == talk.thread_id
    thread = await talk.cluster.threads.get(TENANT, talk.thread_id)
    assert (thread.status, thread.runs_count) == ("idle", 2)
    snapshot = await talk.cluster.threads.snapshot(TENANT, talk.thread_id)
    assert snapshot.run_id == second.run_id
    assert snapshot.state is not None and "agent_states" in snapshot.state


async def test_runs_of_a_thread_run_one_after_the_other_in_their_order() -> None:
    talk = await Conversation().begin()
    refs = [await talk.submit(task) for task in ("One", "Two", "Three")]
    thread = await talk.cluster.threads.get(TENANT, talk.thread_id)
    assert thread.active_run_id == refs[0].run_id
    assert thread.queued_run_ids == [ref.run_id for ref in refs[1:]]

    worker = talk.cluster.worker()
    await worker.execute(refs[2])  # the messages of a queue come in any order
    await worker.execute(refs[1])
    assert [(await talk.run(ref)).status for ref in refs] == ["queued"] * 3
    talk.cluster.queue.waiting.clear()
    await worker.execute(refs[0])
    await talk.work()

    assert [(await talk.run(ref)).status for ref in refs] == ["completed"] * 3
    assert await talk.said() == ["One", "Rain.", "Two", "Rain.", "Three", "Rain."]


async def test_a_failed_or_cancelled_run_leaves_the_state_of_the_one_before() -> None:
    talk = await Conversation().begin()
    await talk.submit("One")
    await talk.work()
    failed = await talk.submit("Two", overrides={"model": "broken"})
    await talk.work()
    assert (await talk.run(failed)).status == "failed"
    queued = await talk.submit("Three")
    await talk.cluster.service.cancel(TENANT, queued.run_id)
    last = await talk.submit("Four")
    await talk.work()

    assert (await talk.run(last)).status == "completed"
    assert talk.heard(1) == ["One", "Rain.", "Four"]


async def test_reject_refuses_while_a_run_has_not_ended() -> None:
    talk = await Conversation().begin()
    first = await talk.submit("One")
    with pytest.raises(ThreadBusy, match=first.run_id):
        await talk.submit("Two", on_busy_thread="reject")
    await talk.work()
    second = await talk.submit("Two", on_busy_thread="reject")
    await talk.work()
    assert (await talk.run(second)).status == "completed"


async def test_a_rejected_run_with_a_key_is_answered_as_before() -> None:
    talk = await Conversation().begin()
    request = RunRequest(
        team="team", input="One", thread_id=talk.thread_id, on_busy_thread="reject"
    )
    first = await talk.cluster.service.submit(TENANT, request, idempotency_key="k")
    again = await talk.cluster.service.submit(TENANT, request, idempotency_key="k")
    assert (again.run.id, again.replayed) == (first.run.id, True)


@pytest.mark.parametrize(
    ("policy", "heard", "said"),
    [
        (
            "interrupt",
            ["One", "Rain.", "Two", "Rain.", "Three"],
            ["One", "Rain.", "Two", "Rain.", "Three", "Rain."],
        ),
        ("rollback", ["One", "Rain.", "Three"], ["One", "Rain.", "Three", "Rain."]),
    ],
)
async def test_a_later_run_can_take_the_place_of_the_active_one(
    policy: str, heard: list[str], said: list[str]
) -> None:
    talk = await Conversation().begin()
    await talk.submit("One")
    await talk.work()
    second = await talk.submit(
        "Two", team=None, team_spec=LONG, limits={"max_turns": 1, "on_limit": "pause"}
    )
    await talk.work()
    assert (await talk.run(second)).status == "paused"
    assert await talk.said() == ["One", "Rain.", "Two", "Rain."]

    third = await talk.submit("Three", on_busy_thread=policy)
    await talk.work()

    stopped = await talk.run(second)
    assert (stopped.status, third.run_id in str(stopped.stop_reason)) == ("cancelled", True)
    assert (await talk.run(third)).status == "completed"
    assert talk.heard(-1) == heard
    assert await talk.said() == said


async def test_a_thread_that_does_not_exist_is_refused() -> None:
    talk = await Conversation().begin()
    with pytest.raises(ThreadNotFound):
        await talk.cluster.submit("x", thread_id="thr_0")
    await talk.cluster.threads.delete(TENANT, talk.thread_id)
    with pytest.raises(ThreadNotFound):
        await talk.submit("x")
    with pytest.raises(ThreadNotFound):
        await talk.cluster.threads.get(TENANT, talk.thread_id)


async def test_a_thread_with_an_active_run_is_not_deleted() -> None:
    talk = await Conversation().begin()
    ref = await talk.submit("One")
    with pytest.raises(ThreadBusy, match="not ended"):
        await talk.cluster.threads.delete(TENANT, talk.thread_id)
    await talk.work()
    await talk.cluster.threads.delete(TENANT, talk.thread_id)
    assert (await talk.run(ref)).status == "completed"


async def test_a_state_that_does_not_fit_the_team_fails_the_run_and_says_so() -> None:
    talk = await Conversation().begin()
    await talk.submit("One")
    await talk.work()
    other = {
        "type": "round_robin_group_chat",
        "participants": [{"name": "b", "model": "m"}],
        "max_turns": 1,
    }
    request = {"team_spec": other, "input": "Two", "thread_id": talk.thread_id}
    run = await talk.cluster.service.submit(TENANT, RunRequest.model_validate(request))
    await talk.work()

    ended = await talk.cluster.service.get(TENANT, run.run.id)
    assert (ended.status, ended.stop_code) == ("failed", "thread_mismatch")
    assert "does not fit the team" in str(ended.stop_reason)


async def test_a_retry_begins_where_its_run_began_and_does_not_join() -> None:
    talk = await Conversation().begin()
    await talk.submit("One")
    second = await talk.submit("Two")
    await talk.work()
    retried = await talk.cluster.service.retry(TENANT, second.run_id, RetryRequest())
    await talk.work()

    assert talk.heard(2) == ["One", "Rain.", "Two"]
    assert retried.run.thread_id is None
    assert (await talk.cluster.threads.get(TENANT, talk.thread_id)).runs_count == 2


def test_a_run_of_a_thread_cannot_start_later() -> None:
    with pytest.raises(ValueError, match="cannot start later"):
        RunRequest(team="t", input="x", thread_id="thr_1", delay_seconds=5)


@pytest.mark.parametrize("policy", ["enqueue", "reject"])
def test_a_run_without_a_thread_has_no_policy_for_it(policy: str) -> None:
    with pytest.raises(ValueError, match=r"on_busy_thread\n.*add thread_id, or leave it out"):
        RunRequest.model_validate({"team": "t", "input": "x", "on_busy_thread": policy})
