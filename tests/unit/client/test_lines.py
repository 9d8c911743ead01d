"""Documents of lines over real HTTP: read while they arrive, and resumed where they broke."""

import json

import pytest
from tests.support.scripted_api import CUT, Given, scripted_api
from tests.unit.client.both import Way, with_both_clients

from teamrun.client import BatchNotFoundError, InvalidAnswerError, RetryPolicy
from teamrun.client.building import get
from teamrun.client.calls import batches
from teamrun.client.requests import Lines, Polled, Reply, Request
from teamrun.json_types import JsonObject

TAG = {"ETag": '"v1"'}


def lines(*numbers: int) -> bytes:
    return b"".join(json.dumps({"n": number}).encode() + b"\n" for number in numbers)


DOCUMENT: Lines[JsonObject] = Lines("/v1/x", json.loads)
WHOLE = lines(*range(9))


def found(items: list[JsonObject]) -> list[int]:
    return [item["n"] for item in items]


@with_both_clients
@pytest.mark.parametrize("cut", range(1, len(WHOLE), 7))
def test_the_bytes_after_the_last_whole_line_are_asked_for(send: Way, cut: int) -> None:
    taken = WHOLE[:cut].rfind(b"\n") + 1
    first = Given(200, WHOLE[:cut], TAG, is_whole=False)
    second = Given(206, WHOLE[taken:], TAG) if taken else Given(200, WHOLE, TAG)
    with scripted_api(first, CUT, second) as api:
        items = send(api.url, DOCUMENT)

    assert found(items) == list(range(9))
    asked = f"bytes={taken}-" if taken else None
    assert [each.headers.get("range") for each in api.asked] == [None, asked, asked]


@with_both_clients
def test_a_document_that_breaks_after_its_last_line_is_complete(send: Way) -> None:
    nothing = Given(416, b"{}", {"Content-Range": f"bytes */{len(WHOLE)}"})
    with scripted_api(Given(200, WHOLE, TAG, is_whole=False), nothing) as api:
        assert found(send(api.url, DOCUMENT)) == list(range(9))


@with_both_clients
@pytest.mark.parametrize("size", [{}, {"Content-Range": "bytes */9"}])
def test_a_document_that_became_shorter_is_not_mixed(send: Way, size: dict[str, str]) -> None:
    answers = [Given(200, WHOLE, TAG, is_whole=False), Given(416, b"{}", {**TAG, **size})]
    with scripted_api(*answers) as api, pytest.raises(InvalidAnswerError):
        send(api.url, DOCUMENT)


@with_both_clients
def test_what_is_sent_again_is_skipped(send: Way) -> None:
    with scripted_api(Given(200, WHOLE[:30], TAG, is_whole=False), Given(200, WHOLE, TAG)) as api:
        assert found(send(api.url, DOCUMENT)) == list(range(9))


@with_both_clients
@pytest.mark.parametrize("tag", [{}, {"ETag": '"v2"'}])
def test_a_document_that_changed_in_between_is_not_mixed(send: Way, tag: dict[str, str]) -> None:
    answers = [Given(200, WHOLE[:30], TAG, is_whole=False), Given(200, WHOLE, tag)]
    with scripted_api(*answers) as api, pytest.raises(InvalidAnswerError):
        send(api.url, DOCUMENT)


@with_both_clients
def test_a_last_line_needs_no_end_and_an_empty_document_is_empty(send: Way) -> None:
    with scripted_api(Given(200, WHOLE.rstrip()), Given(200, b"")) as api:
        assert found(send(api.url, DOCUMENT)) == list(range(9))
        assert send(api.url, DOCUMENT) == []


@with_both_clients
def test_a_line_of_another_form_is_an_error(send: Way) -> None:
    with scripted_api(Given(200, b"{}\n{\n")) as api, pytest.raises(InvalidAnswerError):
        send(api.url, DOCUMENT)


@with_both_clients
def test_a_document_that_is_not_there_is_asked_for_once(send: Way) -> None:
    gone = Given(404, json.dumps({"code": "batch_not_found", "batch_id": "b"}).encode())
    with scripted_api(gone) as api, pytest.raises(BatchNotFoundError) as raised:
        send(api.url, batches.results("b"))

    assert raised.value.batch_id == "b"
    assert len(api.asked) == 1


def number(reply: Reply) -> int | None:
    return None if reply.status == 304 else json.loads(reply.content)["n"]


@with_both_clients
def test_states_follow_until_the_last_one(send: Way) -> None:
    def following(state: int) -> Request[int | None] | None:
        return None if state == 3 else get("/v1/x", number, query={"after": state})

    call = Polled(Request(method="GET", path="/v1/x", read=_n), following, 0)
    answers = [lines(1), lines(2), b"", lines(3)]
    given = [Given(304) if not body else Given(200, body) for body in answers]
    with scripted_api(*given) as api:
        with_states = send(api.url, call, retries=RetryPolicy())

    assert with_states == [1, 2, 3]
    assert [each.path for each in api.asked][1:] == [f"/v1/x?after={n}" for n in (1, 2, 2)]


def _n(reply: Reply) -> int:
    return json.loads(reply.content)["n"]
