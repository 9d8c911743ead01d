import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest
from tests.support.api import SCRIPT, Exchange, frames_of, serve, world

from teamrun.errors import Unavailable
from teamrun.runs.service.follow import Start
from teamrun.runs.service.news import News
from teamrun.storage.memory import MemoryStore
from teamrun.testing import ScriptedModel

STREAM = {"Accept": "text/event-stream"}
LINES = {"Accept": "application/x-ndjson"}


def test_pages_lines_and_the_stream_have_the_same_events() -> None:
    async def scenario() -> None:
        async with world() as w:
            run_id = await w.ended()
            url = f"/v1/runs/{run_id}/events"

            paged: list[object] = []
            after = ""
            while True:
                page = (await w.client.get(url, params={"limit": "5", "after": after})).json()
                paged += page["data"]
                if not page["has_more"]:
                    break
                after = page["next_cursor"]
            lines = await w.client.get(url, headers=LINES)
            stream = await w.client.get(url, headers=STREAM)

            *frames, end = frames_of(stream.text)
            assert lines.headers["content-type"] == "application/x-ndjson"
            assert stream.headers["content-type"] == "text/event-stream; charset=utf-8"
            assert [json.loads(line) for line in lines.text.splitlines()] == paged
            assert [frame["data"] for frame in frames] == paged
            assert [frame["id"] for frame in frames] == [
                f"{run_id}-{n}" for n in range(1, len(paged) + 1)
            ]
            assert [frame["event"] for frame in frames] == [
                frame["data"]["type"] for frame in frames
            ]
            assert end == {
                "id": frames[-1]["id"],
                "event": "end",
                "data": {"run_id": run_id, "status": "completed"},
            }
            assert stream.text.startswith("retry: ")

    serve(scenario())


@pytest.mark.parametrize("form", ["{run_id}-{seq}", "{seq}"], ids=["event id", "bare seq"])
@pytest.mark.parametrize("place", ["header", "query"])
def test_a_stream_resumes_after_any_event(form: str, place: str) -> None:
    async def scenario() -> None:
        async with world() as w:
            run_id = await w.ended()
            url = f"/v1/runs/{run_id}/events"
            whole = list(frames_of((await w.client.get(url, headers=STREAM)).text))
            for cut in range(len(whole) - 1):
                position = form.format(run_id=run_id, seq=cut)
                if place == "header":
                    headers = {**STREAM, "Last-Event-ID": position}
                    rest = await w.client.get(url, headers=headers)
                else:
                    rest = await w.client.get(url, headers=STREAM, params={"after": position})
                assert list(frames_of(rest.text)) == whole[cut:]

    serve(scenario())


@pytest.mark.parametrize("query", ["", "?types=run.completed", "?types=turn.started"])
def test_a_browser_that_has_seen_the_end_stops_reconnecting(query: str) -> None:
    async def scenario() -> None:
        async with world() as w:
            run_id = await w.submit()
            url = f"/v1/runs/{run_id}/events{query}"
            exchange = Exchange(
                w.app,
                f"/v1/runs/{run_id}/events",
                query=query.removeprefix("?"),
                headers={**STREAM, "Last-Event-ID": "1"},
            )
            assert await exchange.start() == 200  # nothing is left yet, but more will come
            await w.execute()
            *_, end = frames_of(await exchange.rest())
            assert end["event"] == "end"

            again = await w.client.get(url, headers={**STREAM, "Last-Event-ID": end["id"]})
            assert (again.status_code, again.content) == (204, b"")
            asked = {"after": end["id"]}
            (last,) = frames_of(
                (await w.client.get(url.partition("?")[0], headers=STREAM, params=asked)).text
            )
            assert last == end  # a program that sends its position itself gets the status

    serve(scenario())


def test_the_header_goes_before_the_query_as_browsers_send_both() -> None:
    async def scenario() -> None:
        async with world() as w:
            run_id = await w.ended()
            headers = {**STREAM, "Last-Event-ID": f"{run_id}-4"}
            answer = await w.client.get(f"/v1/runs/{run_id}/events?after=1", headers=headers)
            assert next(frames_of(answer.text))["id"] == f"{run_id}-5"

    serve(scenario())


@pytest.mark.parametrize("position", ["run_other-3", "x", "-1", "{run_id}-", "1.5", "٣", "9" * 13])
@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
def test_a_position_that_is_none_of_this_run_is_400(position: str, accept: str) -> None:
    async def scenario() -> None:
        async with world() as w:
            run_id = await w.submit()
            url = f"/v1/runs/{run_id}/events"
            place = {"after": position.format(run_id=run_id)}
            answer = await w.client.get(url, headers={"Accept": accept}, params=place)
            (fault,) = answer.json()["errors"]
            assert (answer.status_code, fault["parameter"]) == (400, "after")
            if position.isascii():
                headers = {"Accept": accept, "Last-Event-ID": place["after"]}
                answer = await w.client.get(url, headers=headers)
                (fault,) = answer.json()["errors"]
                assert (answer.status_code, fault["header"]) == (400, "Last-Event-ID")

    serve(scenario())


def test_types_are_filtered_in_every_form_and_deltas_only_come_when_named() -> None:
    async def scenario() -> None:
        async with world() as w:
            run_id = await w.ended()
            url = f"/v1/runs/{run_id}/events?types=run.completed,message.created"
            page = (await w.client.get(url)).json()["data"]
            lines = (await w.client.get(url, headers=LINES)).text.splitlines()
            *frames, end = frames_of((await w.client.get(url, headers=STREAM)).text)
            assert {event["type"] for event in page} == {"run.completed", "message.created"}
            assert [json.loads(line) for line in lines] == page
            assert [frame["data"] for frame in frames] == page
            assert end["event"] == "end"

    serve(scenario())


@pytest.mark.parametrize("types", ["Run", "run", "run.a,", ",", "run.a run.b", "run..a"])
def test_types_that_cannot_be_are_400(types: str) -> None:
    async def scenario() -> None:
        async with world() as w:
            run_id = await w.submit()
            answer = await w.client.get(f"/v1/runs/{run_id}/events", params={"types": types})
            assert answer.status_code == 400

    serve(scenario())


def test_a_form_that_there_is_not_is_406() -> None:
    async def scenario() -> None:
        async with world() as w:
            run_id = await w.submit()
            headers = {"Accept": "text/html"}
            answer = await w.client.get(f"/v1/runs/{run_id}/events", headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (406, "not_acceptable")

    serve(scenario())


async def _head_of_stream(exchange: Exchange) -> None:
    """Read up to the first event, which is there from the start."""
    assert await exchange.start() == 200
    found = b""
    while b"run.queued" not in found:
        found += await exchange.chunk()


def halting(was_read: asyncio.Event) -> ScriptedModel:
    """A model that stops after the first piece of a text until it was read."""

    class Halting(ScriptedModel):
        async def create_stream(self, *args: Any, **options: Any) -> AsyncGenerator[Any, None]:
            async with aclosing(super().create_stream(*args, **options)) as pieces:
                async for piece in pieces:
                    yield piece
                    if isinstance(piece, str):
                        await was_read.wait()

    return Halting(SCRIPT)


async def _up_to_a_delta(exchange: Exchange) -> bytes:
    found = b""
    while b"message.delta" not in found:
        found += await exchange.chunk()
    return found


def test_events_come_as_they_happen_with_deltas_between_and_the_end_at_the_end() -> None:
    async def scenario() -> None:
        was_read = asyncio.Event()
        async with world(model=halting(was_read)) as w:
            run_id = await w.submit()
            exchange = Exchange(w.app, f"/v1/runs/{run_id}/events", headers=STREAM)
            await _head_of_stream(exchange)
            execution = asyncio.ensure_future(w.execute())
            head = await _up_to_a_delta(exchange)
            was_read.set()
            await execution
            *frames, end = frames_of(head + await exchange.rest())
            deltas = [frame for frame in frames if frame["event"] == "message.delta"]
            events = [frame for frame in frames if frame["event"] != "message.delta"]
            assert deltas and all("id" not in frame for frame in deltas)
            assert [frame["data"]["seq"] for frame in events] == list(range(2, len(events) + 2))
            assert end["data"]["status"] == "completed"
            assert w.service.open == 0

    serve(scenario())


def test_a_stream_of_certain_types_carries_deltas_only_where_they_are_named() -> None:
    async def scenario() -> None:
        was_read = asyncio.Event()
        async with world(model=halting(was_read)) as w:
            run_id = await w.submit()
            path = f"/v1/runs/{run_id}/events"
            without = Exchange(w.app, path, query="types=run.completed", headers=STREAM)
            with_deltas = Exchange(
                w.app, path, query="types=message.delta,run.completed", headers=STREAM
            )
            for exchange in (without, with_deltas):
                assert await exchange.start() == 200
                await exchange.chunk()
            for _ in range(2):
                await w.service.opened.acquire()
            execution = asyncio.ensure_future(w.execute())
            head = await _up_to_a_delta(with_deltas)
            was_read.set()
            await execution
            kinds = [frame["event"] for frame in frames_of(await without.rest())]
            assert kinds == ["run.completed", "end"]
            kinds = [frame["event"] for frame in frames_of(head + await with_deltas.rest())]
            assert set(kinds) == {"message.delta", "run.completed", "end"}

    serve(scenario())


def test_a_client_that_leaves_frees_its_generator_and_its_subscription_at_once() -> None:
    async def scenario() -> None:
        async with world() as w:
            run_id = await w.submit()
            exchanges = [
                Exchange(w.app, f"/v1/runs/{run_id}/events", headers=STREAM) for _ in range(20)
            ]
            for exchange in exchanges:
                await _head_of_stream(exchange)
            assert (w.service.open, w.app.state.api.metrics.streams) == (20, 20)
            assert w.live.open == 1  # all of them share it

            for exchange in exchanges:
                await exchange.leave()

            assert (w.service.open, w.app.state.api.metrics.streams) == (0, 0)
            assert w.live.open == 0
            await asyncio.sleep(0)
            assert asyncio.all_tasks() == {asyncio.current_task()}

    serve(scenario())


def test_a_client_that_takes_nothing_and_leaves_is_forgotten_too() -> None:
    async def scenario() -> None:
        async with world() as w:
            run_id = await w.ended()
            others = w.live.open  # the engine listens as well
            path = f"/v1/runs/{run_id}/events"
            exchange = Exchange(w.app, path, headers=STREAM, takes=2)
            await w.service.opened.acquire()
            for _ in range(50):
                await asyncio.sleep(0)
            assert w.service.open == 1  # it waits until the client takes more
            await exchange.leave()
            assert (w.service.open, w.live.open) == (0, others)

    serve(scenario())


def test_an_idle_stream_sends_pings() -> None:
    async def scenario() -> None:
        async with world(ping_seconds=0.01) as w:
            run_id = await w.submit()
            exchange = Exchange(w.app, f"/v1/runs/{run_id}/events", headers=STREAM)
            await _head_of_stream(exchange)
            assert await exchange.chunk() == b": ping\n\n"
            assert await exchange.chunk() == b": ping\n\n"
            await exchange.leave()

    serve(scenario())


def test_streams_end_without_an_end_when_the_server_begins_to_stop() -> None:
    async def scenario() -> None:
        async with world() as w:
            run_id = await w.submit()
            exchange = Exchange(w.app, f"/v1/runs/{run_id}/events", headers=STREAM)
            await _head_of_stream(exchange)
            w.app.state.api.closing.set()
            assert list(frames_of(await exchange.rest())) == []
            assert w.service.open == 0

    serve(scenario())


def test_a_stream_that_fails_ends_without_an_end_so_that_the_client_comes_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario() -> None:
        async with world() as w:
            run_id = await w.ended()
            news = w.service.news

            async def fails_at_the_end(start: Start) -> AsyncGenerator[list[News], None]:
                async for batch in news(start):
                    yield [replace(each, status=None) for each in batch]
                raise Unavailable("gone")

            monkeypatch.setattr(w.service, "news", fails_at_the_end)
            answer = await w.client.get(f"/v1/runs/{run_id}/events", headers=STREAM)
            frames = list(frames_of(answer.text))
            assert answer.status_code == 200
            assert frames[-1]["event"] == "run.completed"

    serve(scenario())


class CountingStore(MemoryStore):
    reads = 0

    async def get_many(self, keys: list[str]) -> list[bytes | None]:
        self.reads += 1
        return await super().get_many(keys)


async def reads_with(clients: int) -> int:
    """The reads of the store while a run executes that so many clients follow."""
    store = CountingStore()
    async with world(store) as w:
        path = f"/v1/runs/{await w.submit()}/events"
        exchanges = [Exchange(w.app, path, headers=STREAM) for _ in range(clients)]
        heads = [await _head_of_stream(exchange) for exchange in exchanges]
        store.reads = 0
        await w.execute()
        bodies = {await exchange.rest() for exchange in exchanges}
        assert len(heads) == clients and len(bodies) == 1
        return store.reads


async def test_streams_of_one_run_share_the_reads_of_its_log() -> None:
    alone = await reads_with(1)
    assert await reads_with(30) <= alone + 40  # each reads once when it joins


async def test_requests_that_wait_for_one_run_share_the_reads_of_its_log() -> None:
    store = CountingStore()
    async with world(store) as w:
        run_id = await w.submit()
        wait = {"wait": "20"}
        waiting = [
            asyncio.ensure_future(w.client.get(f"/v1/runs/{run_id}", params=wait))
            for _ in range(30)
        ]
        for _ in range(500):  # each reads twice, and then waits
            await asyncio.sleep(0)
        assert w.live.open == 1
        store.reads = 0
        await w.execute()
        answers = await asyncio.gather(*waiting)
        assert {answer.json()["status"] for answer in answers} == {"completed"}
        assert store.reads < 30  # most of them the engine's
