"""Pages of a conversation: a cursor names a message, and a page costs what it has."""

import pytest
from tests.support.runs import TENANT, solo
from tests.unit.threads.test_damage import spoil
from tests.unit.threads.test_growth import CountingStore, Talk
from tests.unit.threads.test_threads import LONG, Conversation

from teamrun.core.refs import RunRef
from teamrun.errors import UsageError
from teamrun.threads.resources import ThreadMessages


async def page(talk: Conversation | Talk, limit: int, after: str | None = None) -> ThreadMessages:
    threads = talk.cluster.threads
    return await threads.messages(TENANT, talk.thread_id, limit=limit, after=after)


def texts(found: ThreadMessages) -> list[str]:
    return [str(each.message["content"]) for each in found.data]


async def all_pages(talk: Conversation, limit: int) -> list[str]:
    found = await page(talk, limit)
    said = texts(found)
    while found.has_more:
        found = await page(talk, limit, found.next_cursor)
        assert found.data
        said += texts(found)
    assert found.next_cursor is None
    return said


async def three_runs() -> tuple[Conversation, list[RunRef]]:
    talk = await Conversation().begin()
    refs = [await talk.submit(task) for task in ("One", "Two", "Three")]
    await talk.work()
    return talk, refs


async def test_pages_of_any_size_are_the_conversation() -> None:
    talk = await Conversation().begin()
    paused = {"team": None, "team_spec": LONG, "limits": {"max_turns": 1, "on_limit": "pause"}}
    for task in ("One", "Two"):  # each takes over what the one before has said
        await talk.submit(task, on_busy_thread="interrupt", **paused)
        await talk.work()
    await talk.submit("Three", on_busy_thread="interrupt")
    await talk.work()
    whole = ["One", "Rain.", "Two", "Rain.", "Three", "Rain."]
    for limit in range(1, 8):
        assert await all_pages(talk, limit) == whole


@pytest.mark.parametrize("deleted", [0, 1])
async def test_a_run_that_is_deleted_between_two_pages_shifts_nothing(deleted: int) -> None:
    talk, refs = await three_runs()
    first = await page(talk, 3)  # all of the first run, and a part of the second
    await talk.cluster.service.delete(TENANT, refs[deleted].run_id)
    rest = texts(await page(talk, 9, first.next_cursor))
    assert rest == (["Rain.", "Three", "Rain."] if deleted == 0 else ["Three", "Rain."])


async def test_the_ids_of_unreadable_runs_are_on_the_page_where_their_messages_would_be() -> None:
    talk, refs = await three_runs()
    await spoil(talk, refs[1])
    first = await page(talk, 2)
    second = await page(talk, 2, first.next_cursor)
    assert (first.unreadable_run_ids, second.unreadable_run_ids) == ([], [refs[1].run_id])
    assert texts(second) == ["Three", "Rain."]
    await spoil(talk, refs[2])
    assert (await page(talk, 2)).unreadable_run_ids == [refs[1].run_id, refs[2].run_id]


@pytest.mark.parametrize("cursor", ["", "2", "run_0.0.0", "{}.0", "{}.x.0", "{}.0.-1", "{}.0.0.0"])
async def test_a_cursor_that_names_no_message_is_refused(cursor: str) -> None:
    talk, refs = await three_runs()
    with pytest.raises(UsageError, match="next_cursor"):
        await page(talk, 9, cursor.format(refs[0].run_id))


async def middle(talk: Talk) -> int:
    """How many objects are read for a page in the middle of the conversation."""
    first = await page(talk, 3)
    talk.store.keys.clear()
    assert len((await page(talk, 4, first.next_cursor)).data) == 4
    return len(talk.store.keys)


async def test_a_page_of_many_runs_costs_what_it_has() -> None:
    costs: list[int] = []
    for runs in (5, 15):
        talk = await Talk().begin()
        for _ in range(runs):
            await talk.turn("completed")
        costs.append(await middle(talk))
    assert costs[0] == costs[1]


async def test_a_page_of_a_long_run_costs_what_it_has() -> None:
    costs: list[int] = []
    for turns in (20, 60):
        talk = await Talk(CountingStore()).begin()
        await talk.submit(team=None, team_spec={**solo(), "max_turns": turns})
        await talk.work()
        costs.append(await middle(talk))
    assert costs[0] == costs[1]
