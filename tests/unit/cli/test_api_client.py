import json
from collections.abc import Callable

import httpx2
import pytest

from teamrun.cli.api_client import RETRIES, ApiClient
from teamrun.errors import RunNotFound, TeamrunError, Unavailable, UsageError


def server(answer: Callable[[httpx2.Request], httpx2.Response]) -> ApiClient:
    return ApiClient(
        "http://127.0.0.1:1", transport=httpx2.MockTransport(answer), sleep=lambda _: None
    )


def stream(*events: tuple[str, str]) -> httpx2.Response:
    text = "".join(f"id: {event_id}\ndata: {data}\n\n" for event_id, data in events)
    return httpx2.Response(200, headers={"Content-Type": "text/event-stream"}, text=text)


def test_a_cut_stream_is_resumed_after_the_last_event_that_was_seen() -> None:
    asked: list[str | None] = []
    end = httpx2.Response(200, text="id: r-3\ndata: c\n\nevent: end\ndata: {}\n\n")
    answers = [stream(("r-1", "a"), ("r-2", "b")), httpx2.Response(503), end]

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request.headers.get("Last-Event-ID"))
        return answers.pop(0)

    followed = [event.data for event in server(answer).follow("r")]

    assert followed == ["a", "b", "c"]
    assert asked == [None, "r-2", "r-2"]


def test_a_stream_whose_end_was_lost_is_over_when_the_server_has_nothing_left() -> None:
    answers = [stream(("1", "a")), httpx2.Response(204)]

    followed = [event.data for event in server(lambda _: answers.pop(0)).follow("r")]

    assert (followed, answers) == (["a"], [])


@pytest.mark.parametrize(("answers_first", "attempts"), [(True, RETRIES + 1), (False, 1)])
def test_only_a_server_that_has_answered_is_asked_again_for_a_stream(
    answers_first: bool, attempts: int
) -> None:
    streams: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.method == "POST":
            return httpx2.Response(202, json={})
        streams.append(request.url.path)
        raise httpx2.ConnectError("refused", request=request)

    asked = server(answer)
    if answers_first:
        asked.post("runs", body={})

    with pytest.raises(Unavailable):
        list(asked.follow("r"))

    assert len(streams) == attempts


def test_a_stream_that_is_given_up_names_the_answer_of_the_server() -> None:
    with pytest.raises(Unavailable) as raised:
        list(server(lambda _: httpx2.Response(503, json={"detail": "storage_down"})).follow("r"))
    assert "storage_down" in raised.value.message


def test_a_run_that_does_not_exist_is_not_asked_for_again() -> None:
    asked: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request.url.path)
        return httpx2.Response(
            404, json={"detail": "There is no run 'r'.", "code": "run_not_found"}
        )

    with pytest.raises(RunNotFound):
        list(server(answer).follow("r"))

    assert asked == ["/v1/runs/r/events"]


@pytest.mark.parametrize(
    ("status", "expected"), [(401, UsageError), (422, UsageError), (503, Unavailable)]
)
def test_a_problem_becomes_an_error_that_names_the_field(
    status: int, expected: type[TeamrunError]
) -> None:
    problem = {"detail": "No.", "errors": [{"pointer": "/team", "detail": "There is no such."}]}

    with pytest.raises(expected) as caught:
        server(lambda _: httpx2.Response(status, json=problem)).get("runs")

    assert "/team" in str(caught.value)


def test_a_single_fault_is_reported_once_with_its_location() -> None:
    fault = {"pointer": None, "parameter": "status", "detail": "No such status.", "code": "x"}
    problem = {"detail": "No such status.", "errors": [fault]}

    with pytest.raises(UsageError) as caught:
        server(lambda _: httpx2.Response(400, json=problem)).get("runs")

    assert str(caught.value) == "status: No such status."


def test_an_answer_of_something_else_is_an_error_with_its_status() -> None:
    with pytest.raises(Unavailable) as caught:
        server(lambda _: httpx2.Response(502, text="<html>")).get("runs")
    assert caught.value.data == {"status_code": 502}


def test_a_refused_connection_names_the_setting() -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("refused", request=request)

    with pytest.raises(Unavailable) as caught:
        server(answer).post("runs", body={})
    assert caught.value.data == {"setting": "url"}


def test_the_key_and_the_body_are_sent() -> None:
    seen: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(202, text="{}")

    client = ApiClient(
        "http://127.0.0.1:1", api_key="key_1", transport=httpx2.MockTransport(answer)
    )
    client.post("runs", body={"team": "t"}, headers={"Idempotency-Key": "k"})

    assert seen[0].headers["Authorization"] == "Bearer key_1"
    assert seen[0].headers["Idempotency-Key"] == "k"
    assert json.loads(seen[0].content) == {"team": "t"}
