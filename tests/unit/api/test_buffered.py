"""Event streams where the platform sends a response only when it is complete: long polls."""

import asyncio
import itertools
from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Any

import pytest
from tests.support.api import Exchange, World, frames_of, serve, world

from teamrun.errors import Unavailable
from teamrun.runs.service.follow import Start
from teamrun.runs.service.news import News
from teamrun_api.context import DEADLINE
from teamrun_api.settings import ApiSettings

STREAM = {"Accept": "text/event-stream"}


async def _followed(w: World, url: str) -> list[list[dict[str, Any]]]:
    """The frames of each response, as a client receives them that continues to the end."""
    polls: list[list[dict[str, Any]]] = []
    last: dict[str, str] = {}
    while True:
        answer = await w.client.get(url, headers=STREAM | last)
        frames = list(frames_of(answer.text))
        polls.append(frames)
        if answer.status_code == 204 or any(frame["event"] == "end" for frame in frames):
            return polls
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-length"] == str(len(answer.content))
        if ids := [frame["id"] for frame in frames if "id" in frame]:
            last = {"Last-Event-ID": ids[-1]}


def test_a_client_that_continues_has_each_event_once_and_no_deltas() -> None:
    async def scenario() -> None:
        async with world(buffered=True, latency_s=0.4) as w:
            run_id = await w.submit()
            url = f"/v1/runs/{run_id}/events"
            polls, _ = await asyncio.gather(_followed(w, url), w.execute())
            assert len(polls) > 2
            frames = [frame for poll in polls for frame in poll]
            page = (await w.client.get(url, params={"limit": "1000"})).json()["data"]
            assert [frame["data"] for frame in frames[:-1]] == page
            assert frames[-1]["event"] == "end"

    serve(scenario())


def test_what_is_there_is_the_answer() -> None:
    async def scenario() -> None:
        async with world(buffered=True) as w:
            run_id = await w.submit()
            answer = await w.client.get(f"/v1/runs/{run_id}/events", headers=STREAM)
            assert answer.text.startswith("retry: 100\n\n")
            assert [frame["event"] for frame in frames_of(answer.text)] == ["run.queued"]
            assert answer.headers["content-type"].startswith("text/event-stream")

    serve(scenario())


def test_without_news_the_answer_is_empty_in_time() -> None:
    async def scenario() -> None:
        async with world(buffered=True, wait_limit_seconds=0.05) as w:
            run_id = await w.submit()
            url = f"/v1/runs/{run_id}/events"
            answer = await w.client.get(url, headers={**STREAM, "Last-Event-ID": "1"})
            assert (answer.status_code, answer.text) == (200, "retry: 100\n\n")

    serve(scenario())


def test_a_host_that_ends_requests_gets_its_answers_before() -> None:
    async def scenario() -> None:
        async with world(buffered=True) as w:
            run_id = await w.submit()
            at = asyncio.get_running_loop().time() + 5.05
            follow = Exchange(
                w.app, f"/v1/runs/{run_id}/events", headers={**STREAM, "Last-Event-ID": "1"}
            )
            follow.scope[DEADLINE] = at
            wait = Exchange(w.app, f"/v1/runs/{run_id}", headers={"Prefer": "wait=60"})
            wait.scope[DEADLINE] = at
            assert await follow.start() == 200
            assert await follow.rest() == b"retry: 100\n\n"
            assert await wait.start() == 200
            assert wait.headers["preference-applied"] == "wait=0"
            await wait.rest()

    serve(scenario())


def test_a_long_log_is_answered_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        monkeypatch.setattr("teamrun_api.sse._MOST_BYTES", 100)
        async with world(buffered=True) as w:
            run_id = await w.ended()
            polls = await _followed(w, f"/v1/runs/{run_id}/events")
            frames = [frame for poll in polls for frame in poll if frame["event"] != "end"]
            assert len(polls) > 1
            assert [frame["data"]["seq"] for frame in frames] == [*range(1, len(frames) + 1)]

    serve(scenario())


def test_events_without_a_pause_do_not_keep_the_client_waiting() -> None:
    async def scenario() -> None:
        async with world(buffered=True) as w:
            run_id = await w.submit()

            async def news(start: Start) -> AsyncGenerator[list[News], None]:
                while True:
                    yield start.first
                    await asyncio.sleep(0.01)

            w.service.news = news
            answer = await w.client.get(f"/v1/runs/{run_id}/events", headers=STREAM)
            assert len([*frames_of(answer.text)]) > 1

    serve(scenario())


def test_an_error_before_the_first_event_is_the_answer() -> None:
    async def scenario() -> None:
        async with world(buffered=True) as w:
            run_id = await w.submit()

            async def news(start: Start) -> AsyncGenerator[list[News], None]:
                if not events:
                    raise Unavailable("the store is away")
                yield start.first
                raise Unavailable("the store is away")

            events, w.service.news = False, news
            url = f"/v1/runs/{run_id}/events"
            answer = await w.client.get(url, headers=STREAM)
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
            events = True
            answer = await w.client.get(url, headers=STREAM)
            assert [frame["event"] for frame in frames_of(answer.text)] == ["run.queued"]

    serve(scenario())


def test_a_client_that_leaves_ends_the_poll() -> None:
    async def scenario() -> None:
        async with world(buffered=True) as w:
            run_id = await w.submit()
            poll = Exchange(
                w.app, f"/v1/runs/{run_id}/events", headers={**STREAM, "Last-Event-ID": "1"}
            )
            await w.service.opened.acquire()
            await poll.leave()
            assert w.service.open == 0

    serve(scenario())


def test_a_server_that_stops_ends_the_poll() -> None:
    async def scenario() -> None:
        async with world(buffered=True) as w:
            run_id = await w.submit()
            poll = Exchange(
                w.app, f"/v1/runs/{run_id}/events", headers={**STREAM, "Last-Event-ID": "1"}
            )
            await w.service.opened.acquire()
            w.app.state.api.closing.set()
            assert await poll.start() == 200
            assert await poll.rest() == b"retry: 100\n\n"

    serve(scenario())


@pytest.mark.parametrize(("buffered", "longest"), [(True, 20.0), (False, 60.0)])
def test_the_server_says_whether_it_streams(buffered: bool, longest: float) -> None:
    async def scenario() -> None:
        async with world(buffered=buffered) as w:
            info = (await w.client.get("/v1/info")).json()
            assert info["server"]["streaming"] is not buffered
            assert info["server"]["live_events"] is not buffered
            assert info["limits"]["wait_seconds"] == longest
            run_id = await w.ended()
            answer = await w.client.get(f"/v1/runs/{run_id}", headers={"Prefer": "wait=99"})
            assert answer.headers["preference-applied"] == f"wait={longest:.0f}"

    serve(scenario())


def test_a_batch_is_followed_by_its_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with world(buffered=True) as w:
            body = {"team": "writers", "items": [{"input": "Go"}]}
            answer = await w.client.post("/v1/batches", json=body)
            assert answer.status_code == 202, answer.text
            url = f"/v1/batches/{answer.json()['id']}/events"
            first = await w.client.get(url, headers=STREAM)
            *events, batch = frames_of(first.text)
            assert events and batch["event"] == "batch"
            monkeypatch.setattr(ApiSettings, "wait_limit", timedelta(milliseconds=50))
            last = {"Last-Event-ID": events[-1]["id"]}
            again = await w.client.get(url, headers=STREAM | last)
            assert [frame["event"] for frame in frames_of(again.text)] == ["batch"]
            monkeypatch.undo()
            polling = asyncio.create_task(w.client.get(url, headers=STREAM | last))
            for change in itertools.cycle(["pause", "resume"]):
                await w.client.post(url.replace("events", change))
                if (await asyncio.wait({polling}, timeout=0.2))[0]:
                    break
            frames = [*frames_of(polling.result().text)]
            assert {frame["event"] for frame in frames} >= {"batch"}
            assert len(frames) > 1  # as it was, and the change

    serve(scenario())
