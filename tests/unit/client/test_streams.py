"""Event streams over real HTTP that are cut, refused and resumed."""

import asyncio
import json

import pytest
from tests.support.scripted_api import CUT, Given, scripted_api
from tests.unit.client.both import AT_ONCE, Way, with_both_clients

from teamrun.client import (
    APIConnectionError,
    AsyncClient,
    Client,
    Delta,
    Event,
    InvalidAnswerError,
    RetryPolicy,
    RunNotFoundError,
    ServiceUnavailableError,
)
from teamrun.client.calls import runs
from teamrun.json_types import JsonObject

END = b'event: end\nid: r-9\ndata: {"run_id": "r", "status": "completed"}\n\n'


def event(seq: int, kind: str = "message.created") -> bytes:
    data: JsonObject = {
        "id": f"r-{seq}",
        "seq": seq,
        "type": kind,
        "time": "2026-03-31T08:00:00Z",
        "run_id": "r",
        "data": {},
    }
    return f"id: r-{seq}\nevent: {kind}\ndata: {json.dumps(data)}\n\n".encode()


def delta(text: str) -> bytes:
    data = {"type": "message.delta", "run_id": "r", "data": {"text": text}}
    return f"event: message.delta\ndata: {json.dumps(data)}\n\n".encode()


def frames(*parts: bytes, is_whole: bool = True) -> Given:
    return Given(200, b"".join(parts), {"Content-Type": "text/event-stream"}, is_whole)


def seqs(items: list[Event | Delta]) -> list[int]:
    return [item.seq for item in items if isinstance(item, Event)]


@with_both_clients
@pytest.mark.parametrize("whole", [True, False])
def test_a_cut_stream_is_resumed_after_the_last_event_that_arrived(send: Way, whole: bool) -> None:
    half = event(3)[:40]
    first = frames(b": ping\n\n", event(1), event(2), delta("x"), half, is_whole=whole)
    with scripted_api(first, CUT, Given(503), frames(event(3), END)) as api:
        items = send(api.url, runs.stream("r"))

    assert seqs(items) == [1, 2, 3]
    assert [item.data for item in items if isinstance(item, Delta)] == [{"text": "x"}]
    asked = [each.headers.get("last-event-id") for each in api.asked]
    assert asked == [None, "r-2", "r-2", "r-2"]


@with_both_clients
def test_a_stream_whose_end_was_lost_is_over_when_nothing_is_left(send: Way) -> None:
    with scripted_api(frames(event(1)), Given(204)) as api:
        assert seqs(send(api.url, runs.stream("r"))) == [1]


@with_both_clients
def test_nothing_after_the_end_is_read(send: Way) -> None:
    with scripted_api(frames(event(1), END, event(2))) as api:
        assert seqs(send(api.url, runs.stream("r"))) == [1]

    assert len(api.asked) == 1


@with_both_clients
def test_a_stream_begins_after_an_event_and_takes_only_some_types(send: Way) -> None:
    with scripted_api(frames(END)) as api:
        send(api.url, runs.stream("r", after=7, types=["run.completed", "message.delta"]))

    assert api.asked[0].path == "/v1/runs/r/events?types=run.completed%2Cmessage.delta"
    assert api.asked[0].headers["last-event-id"] == "7"
    assert api.asked[0].headers["accept"] == "text/event-stream"


@with_both_clients
def test_an_event_resets_the_count_of_reconnections(send: Way) -> None:
    policy = RetryPolicy(max_reconnects=1, first_delay=0)
    cuts = [frames(event(1)), CUT, frames(event(2)), CUT, frames(event(3), END)]
    with scripted_api(*cuts) as api:
        # An interruption follows each answer with an event, then one more.
        with pytest.raises(APIConnectionError):
            send(api.url, runs.stream("r"), retries=RetryPolicy(max_reconnects=0, first_delay=0))
        api.answers[:] = [frames(event(1)), frames(event(2)), frames(event(3), END)]
        assert seqs(send(api.url, runs.stream("r"), retries=policy)) == [1, 2, 3]


@with_both_clients
def test_responses_of_a_server_that_cannot_stream_are_no_failures(send: Way) -> None:
    retry, polls = b"retry: 1\n\n", [b"retry: 1\n\n"] * 5
    policy = RetryPolicy(max_reconnects=0, first_delay=60)
    answers = [frames(retry, event(1)), *map(frames, polls), frames(retry, event(2)), frames(END)]
    with scripted_api(*answers) as api:
        assert seqs(send(api.url, runs.stream("r"), retries=policy)) == [1, 2]

        asked = [each.headers.get("last-event-id") for each in api.asked]
        assert asked == [None, *["r-1"] * 6, "r-2"]


@with_both_clients
def test_a_reconnection_time_does_not_excuse_a_cut(send: Way) -> None:
    policy = RetryPolicy(max_reconnects=1, first_delay=0)
    cut = frames(b"retry: 1\n\n", b": ping\n\n", is_whole=False)
    with scripted_api(*[cut] * 9) as api:
        with pytest.raises(APIConnectionError):
            send(api.url, runs.stream("r"), retries=policy)

        assert len(api.asked) == 2


@with_both_clients
def test_the_longest_delay_bounds_the_reconnection_time(send: Way) -> None:
    policy = RetryPolicy(max_reconnects=0, max_delay=0)
    with scripted_api(frames(b"retry: 999999999999\n\n"), frames(END)) as api:
        assert send(api.url, runs.stream("r"), retries=policy) == []


@with_both_clients
def test_a_stream_that_stays_away_is_given_up(send: Way) -> None:
    with scripted_api(*[Given(503)] * 9) as api:
        with pytest.raises(ServiceUnavailableError):
            send(api.url, runs.stream("r"), retries=RetryPolicy(max_reconnects=2, first_delay=0))

        assert len(api.asked) == 3


@with_both_clients
def test_an_error_that_is_final_is_raised_at_once(send: Way) -> None:
    gone = Given(404, json.dumps({"code": "run_not_found", "detail": "D."}).encode())
    with scripted_api(gone) as api, pytest.raises(RunNotFoundError):
        send(api.url, runs.stream("r"))

    assert len(api.asked) == 1


@with_both_clients
def test_an_event_of_another_form_is_an_error(send: Way) -> None:
    with scripted_api(frames(b"data: {}\n\n", END)) as api, pytest.raises(InvalidAnswerError):
        send(api.url, runs.stream("r"))


@with_both_clients
def test_an_event_of_a_newer_server_is_read(send: Way) -> None:
    newer = event(1, "run.teleported").replace(b'"data": {}', b'"data": {"x": 1}, "later": 2')
    with scripted_api(frames(newer, END)) as api:
        items = send(api.url, runs.stream("r"))

    assert [(item.type, item.data) for item in items] == [("run.teleported", {"x": 1})]


def test_leaving_a_stream_closes_its_connection() -> None:
    with (
        scripted_api(frames(event(1), event(2), END)) as api,
        Client(api.url, retries=AT_ONCE) as client,
    ):
        with client.runs.stream("r") as stream:
            first = next(stream)
        assert isinstance(first, Event)
        assert list(stream) == []


def test_leaving_an_async_stream_closes_its_connection() -> None:
    async def scenario(url: str) -> None:
        async with AsyncClient(url, retries=AT_ONCE) as client:
            async with client.runs.stream("r") as stream:
                async for item in stream:
                    assert isinstance(item, Event)
                    break
            assert [item async for item in stream] == []

    with scripted_api(frames(event(1), event(2), END)) as api:
        asyncio.run(scenario(api.url))
