"""Deleted and unreadable runs, and damaged logs of threads: the conversation goes on."""

from datetime import timedelta
from typing import Any

import pytest
from tests.support.runs import TENANT
from tests.unit.threads.test_threads import LONG, Conversation

from teamrun.core.refs import RunRef
from teamrun.errors import RunNotFinished, StorageError, ThreadBusy
from teamrun.runs.engine import patience
from teamrun.runs.log.keys import entry_key
from teamrun.runs.service.requests import RetryRequest, RunRequest
from teamrun.storage.memory import MemoryStore
from teamrun.testing.faults import Fault, FaultStore
from teamrun.threads.requests import ThreadPatch, ThreadRequest

DAMAGE = [b"", b"garbage", b'{"v":1,"n":1,"body":{"kind":"joined"}}']


async def entries(talk: Conversation) -> list[str]:
    """The keys of the thread's log; the process forgets what it has read."""
    talk.cluster.turns.logs._states.clear()  # pyright: ignore[reportPrivateUsage]
    return await talk.cluster.store.list(f"t/{TENANT}/threads/")


async def spoil(talk: Conversation, ref: RunRef) -> None:
    await talk.cluster.store.put(entry_key(ref, 0), b"garbage")


async def shown(talk: Conversation) -> Any:
    return await talk.cluster.threads.get(TENANT, talk.thread_id)


@pytest.mark.parametrize("data", DAMAGE)
async def test_a_run_whose_entry_is_damaged_joins_again(data: bytes) -> None:
    talk = await Conversation().begin()
    first = await talk.submit("One")
    [*_, last] = await entries(talk)
    await talk.cluster.store.put(last, data)
    second = await talk.submit("Two")
    await talk.work()
    assert [(await talk.run(ref)).status for ref in (first, second)] == ["completed"] * 2
    assert sorted(await talk.said()) == ["One", "Rain.", "Rain.", "Two"]
    assert (await shown(talk)).runs_count == 2


async def test_a_thread_whose_first_entry_is_damaged_goes_on_without_its_metadata() -> None:
    talk = await Conversation().begin()
    threads, request = talk.cluster.threads, ThreadRequest(metadata={"a": "b"})
    talk.thread_id = (await threads.create(TENANT, request, key="k")).thread.id
    await talk.submit("One")
    await talk.work()
    [first] = [key for key in await entries(talk) if f"{talk.thread_id}/log/000000" in key]
    await talk.cluster.store.put(first, b"garbage")

    await talk.submit("Two")
    await talk.work()
    assert talk.heard(1) == ["One", "Rain.", "Two"]
    thread = await shown(talk)
    assert (thread.metadata, thread.runs_count, thread.created_at is not None) == ({}, 2, True)
    again = await threads.create(TENANT, request, key="k")
    assert (again.thread.id, again.replayed) == (talk.thread_id, True)
    await threads.update(TENANT, talk.thread_id, ThreadPatch(metadata={"a": "b"}))
    assert (await shown(talk)).metadata == {"a": "b"}
    assert talk.thread_id in {each.id for each in (await threads.list(TENANT, limit=9)).data}


async def test_a_run_whose_entry_is_damaged_later_keeps_its_place() -> None:
    talk = await Conversation().begin()
    for task in ("One", "Two"):
        await talk.submit(task)
    await talk.work()
    [_, first, _] = await entries(talk)
    await talk.cluster.store.put(first, b"garbage")
    await talk.submit("Three")
    await talk.work()
    assert talk.heard(2) == ["One", "Rain.", "Two", "Rain.", "Three"]
    assert await talk.said() == ["One", "Rain.", "Two", "Rain.", "Three", "Rain."]


async def test_a_thread_that_a_newer_release_has_written_to_is_left_alone() -> None:
    talk = await Conversation().begin()
    first = await talk.submit("One")
    [*_, last] = await entries(talk)
    await talk.cluster.store.put(last, b'{"v":1,"body":{"kind":"moved"}}')
    with pytest.raises(StorageError, match="newer release; update this process"):
        await shown(talk)
    with pytest.raises(StorageError, match="newer release"):
        await talk.submit("Two")
    assert (await talk.run(first)).status == "queued"


async def test_the_messages_of_the_other_runs_are_shown() -> None:
    talk = await Conversation().begin()
    first = await talk.submit("One")
    await talk.submit("Two")
    await talk.work()
    await spoil(talk, first)
    page = await talk.cluster.threads.messages(TENANT, talk.thread_id, limit=9)
    assert [each.message["content"] for each in page.data] == ["Two", "Rain."]
    assert page.unreadable_run_ids == [first.run_id]


async def test_a_thread_is_busy_while_a_run_is_unreadable_until_that_is_given_up() -> None:
    talk = await Conversation().begin()
    first = await talk.submit("One")
    await spoil(talk, first)
    thread = await shown(talk)
    assert (thread.status, thread.active_run_id) == ("busy", first.run_id)
    with pytest.raises(ThreadBusy):
        await talk.submit("Two", on_busy_thread="reject")
    with pytest.raises(ThreadBusy):
        await talk.cluster.threads.delete(TENANT, talk.thread_id)

    talk.cluster.clock.shift += timedelta(minutes=61)
    assert (await shown(talk)).status == "idle"
    second = await talk.submit("Two", on_busy_thread="reject")
    talk.cluster.queue.waiting.popleft()
    await talk.work()
    assert (await talk.run(second)).status == "completed"


async def test_a_run_waits_for_storage_before_it_continues(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "_FIRST_DELAY", 0)
    store = FaultStore(MemoryStore())
    talk = await Conversation(store).begin()
    first = await talk.submit("One")
    await talk.work()
    second = await talk.submit("Two")
    fault = store.plan(Fault(outcome="unavailable", key=f"*/{first.run_id}/*"))
    await talk.work()
    assert fault.hits == 1
    assert (await talk.run(second)).status == "completed"
    assert talk.heard(1) == ["One", "Rain.", "Two"]


@pytest.mark.parametrize("deleted", [{0}, {1}, {0, 1}], ids=["before it", "parent", "both"])
async def test_a_retry_begins_with_what_its_run_had_read(deleted: set[int]) -> None:
    talk = await Conversation().begin()
    refs = [await talk.submit(task) for task in ("One", "Two")]
    await talk.work()
    await talk.cluster.service.retry(TENANT, refs[1].run_id, RetryRequest())
    for number in deleted:
        await talk.cluster.service.delete(TENANT, refs[number].run_id)
    await talk.work()
    # If both are deleted, nothing is left of what it had read.
    assert talk.heard(2) == (["Two"] if len(deleted) == 2 else ["One", "Rain.", "Two"])


async def test_the_run_after_a_deleted_one_continues_from_the_one_before_that() -> None:
    talk = await Conversation().begin()
    first, second = [await talk.submit(task) for task in ("One", "Two")]
    await talk.work()
    with pytest.raises(RunNotFinished):
        await talk.cluster.service.delete(TENANT, (await talk.submit("Three")).run_id)
    await talk.cluster.service.delete(TENANT, second.run_id)
    assert (await shown(talk)).runs_count == 2
    await talk.work()
    assert talk.heard(2) == ["One", "Rain.", "Three"]
    await talk.cluster.service.delete(TENANT, first.run_id)
    thread = await shown(talk)
    assert (thread.runs_count, thread.status) == (1, "idle")
    assert len((await talk.cluster.threads.runs(TENANT, talk.thread_id, limit=9)).data) == 1
    assert await talk.said() == ["Three", "Rain."]


async def test_runs_that_interrupt_one_another_take_over_each_message_once() -> None:
    talk = await Conversation().begin()
    paused = {"team": None, "team_spec": LONG, "limits": {"max_turns": 1, "on_limit": "pause"}}
    for task in ("One", "Two"):
        await talk.submit(task, on_busy_thread="interrupt", **paused)
        await talk.work()
    await talk.submit("Never begun", on_busy_thread="interrupt")
    await talk.submit("Three", on_busy_thread="interrupt")
    await talk.work()
    assert talk.heard(-1) == ["One", "Rain.", "Two", "Rain.", "Three"]
    assert await talk.said() == ["One", "Rain.", "Two", "Rain.", "Three", "Rain."]


async def test_the_input_of_a_run_that_does_not_fit_is_in_the_conversation() -> None:
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
    assert ended.stop_code == "thread_mismatch"
    assert await talk.said() == ["One", "Rain.", "Two"]
