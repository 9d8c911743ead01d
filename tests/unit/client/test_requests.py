"""Requests over real HTTP: what is sent, what is sent again, and what the errors are."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.support.scripted_api import CUT, Given, scripted_api
from tests.unit.client.both import AT_ONCE, Way, by_client, with_both_clients

from teamrun.client import (
    APIConnectionError,
    InvalidAnswerError,
    RateLimitedError,
    RetryPolicy,
    RunNotFoundError,
    ServerUnreachableError,
    ServiceUnavailableError,
    TeamrunAPIError,
)
from teamrun.client.building import get, json_of, nothing
from teamrun.client.calls import artifacts, batches, runs, server, signals, teams
from teamrun.client.exchange import PIECE_BYTES
from teamrun.client.requests import Request, Upload
from teamrun.errors import RunNotFound, Unavailable, UsageError
from teamrun.json_types import JsonObject

ROOT = Path(__file__).parents[3]
EXAMPLES: dict[str, Any] = json.loads(
    (ROOT / "docs/reference/openapi.json").read_text(encoding="utf-8")
)["components"]["examples"]
RUN = json.dumps(EXAMPLES["RunEnded"]["value"]).encode()


def problem(status: int, code: str, **fields: Any) -> Given:
    body = {"title": "T", "status": status, "detail": "D.", "code": code, **fields}
    return Given(status, json.dumps(body).encode(), {"Content-Type": "application/problem+json"})


@with_both_clients
def test_a_request_has_the_key_the_body_and_an_idempotency_key(send: Way) -> None:
    with scripted_api(Given(202, RUN)) as api:
        run = send(api.url, runs.submit("analysts", "Gö"), api_key="key_1")

    asked = api.asked[0]
    assert (asked.method, asked.path) == ("POST", "/v1/runs")
    assert asked.headers["authorization"] == "Bearer key_1"
    assert asked.headers["idempotency-key"]
    assert json.loads(asked.body) == {"team": "analysts", "input": "Gö"}
    assert run.id == EXAMPLES["RunEnded"]["value"]["id"]


@with_both_clients
@pytest.mark.parametrize(
    "lost", [CUT, Given(202, RUN[:50], is_whole=False), Given(503), Given(429)]
)
def test_a_lost_answer_is_asked_for_again_with_the_same_key(send: Way, lost: Given) -> None:
    with scripted_api(lost, lost, Given(202, RUN)) as api:
        send(api.url, runs.submit("analysts", "Go"))

    keys = {asked.headers["idempotency-key"] for asked in api.asked}
    assert (len(api.asked), len(keys)) == (3, 1)
    assert len({asked.body for asked in api.asked}) == 1


@with_both_clients
def test_two_calls_have_two_keys(send: Way) -> None:
    with scripted_api(Given(202, RUN), Given(202, RUN)) as api:
        send(api.url, signals.message("r", "hello"))
        send(api.url, signals.message("r", "hello"))

    assert len({asked.headers["idempotency-key"] for asked in api.asked}) == 2


@with_both_clients
def test_retries_end(send: Way) -> None:
    with scripted_api(*[problem(503, "unavailable")] * 9) as api:
        with pytest.raises(ServiceUnavailableError) as raised:
            send(api.url, runs.get_run("r"), retries=RetryPolicy(max_retries=2, first_delay=0))

        assert len(api.asked) == 3
        assert raised.value.code == "unavailable"
        assert isinstance(raised.value, Unavailable)


@with_both_clients
@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 410, 413, 415, 422, 500, 501])
def test_other_errors_are_final(send: Way, status: int) -> None:
    with scripted_api(problem(status, "x")) as api:
        with pytest.raises(TeamrunAPIError) as raised:
            send(api.url, runs.submit("analysts", "Go"))

        assert len(api.asked) == 1
        assert raised.value.status == status


@with_both_clients
def test_an_error_has_the_data_of_its_problem(send: Way) -> None:
    fault = {"pointer": "/team", "detail": "No such team.", "code": "unknown_team"}
    given = problem(404, "run_not_found", request_id="req_1", run_id="run_1", errors=[fault])
    with scripted_api(given) as api, pytest.raises(RunNotFoundError) as raised:
        send(api.url, runs.get_run("run_1"))

    error = raised.value
    assert isinstance(error, RunNotFound)
    assert (error.status, error.code, error.detail) == (404, "run_not_found", "D.")
    assert (error.request_id, error.run_id, error.errors) == ("req_1", "run_1", [fault])


@with_both_clients
def test_a_wait_that_is_too_long_is_an_error_that_names_it(send: Way) -> None:
    late = Given(429, b"", {"Retry-After": "7200"})
    with scripted_api(late) as api, pytest.raises(RateLimitedError) as raised:
        send(api.url, runs.get_run("r"))

    assert raised.value.retry_after == 7200
    assert len(api.asked) == 1


@with_both_clients
def test_the_key_never_goes_to_another_origin(send: Way) -> None:
    with scripted_api(Given(200, RUN)) as other:
        moved = Given(307, b"", {"Location": f"{other.url}/v1/runs/r"})
        with scripted_api(moved) as api, pytest.raises(InvalidAnswerError) as raised:
            send(api.url, runs.get_run("r"), api_key="key_1")

    assert other.asked == []
    assert raised.value.data == {"status": 307}


@with_both_clients
def test_a_page_of_something_else_is_an_error_with_its_status(send: Way) -> None:
    page = Given(404, b"<html>Not here</html>", {"X-Request-Id": "req_9"})
    with scripted_api(page) as api, pytest.raises(TeamrunAPIError) as raised:
        send(api.url, server.info())

    assert (raised.value.code, raised.value.request_id) == ("http_404", "req_9")


@with_both_clients
def test_an_answer_of_another_form_is_an_error(send: Way) -> None:
    with scripted_api(Given(200, b"<html>")) as api, pytest.raises(InvalidAnswerError):
        send(api.url, runs.get_run("r"))


@with_both_clients
def test_a_server_that_is_not_there_is_named_as_such(send: Way) -> None:
    with scripted_api() as api:
        url = api.url  # nothing listens there from here on
    with pytest.raises(ServerUnreachableError) as raised:
        send(url, runs.get_run("r"))

    assert raised.value.data == {"setting": "url"}


@with_both_clients
def test_a_deletion_whose_answer_was_lost_has_succeeded(send: Way) -> None:
    with scripted_api(CUT, problem(404, "run_not_found")) as api:
        assert send(api.url, runs.delete_run("r")) is None

        assert len(api.asked) == 2


@with_both_clients
def test_a_refused_deletion_has_deleted_nothing(send: Way) -> None:
    answers = (problem(503, "not_ready"), problem(404, "run_not_found"))
    with scripted_api(*answers) as api, pytest.raises(RunNotFoundError):
        send(api.url, runs.delete_run("r"))


@with_both_clients
def test_a_run_that_was_never_there_is_not_deleted(send: Way) -> None:
    with scripted_api(problem(404, "run_not_found")) as api, pytest.raises(RunNotFoundError):
        send(api.url, runs.delete_run("r"))


@with_both_clients
def test_a_probe_is_not_retried(send: Way) -> None:
    with scripted_api(problem(503, "not_ready")) as api:
        with pytest.raises(ServiceUnavailableError):
            send(api.url, server.readiness())

        assert len(api.asked) == 1


@with_both_clients
def test_a_list_is_read_page_by_page_past_an_empty_one(send: Way) -> None:
    run = EXAMPLES["RunEnded"]["value"]
    pages: list[JsonObject] = [
        {"data": [run], "next_cursor": "c1", "has_more": True},
        {"data": [], "next_cursor": "c2", "has_more": True},
        {"data": [run], "next_cursor": None, "has_more": False},
    ]
    with scripted_api(*[Given(200, json.dumps(page).encode()) for page in pages]) as api:
        found = send(api.url, runs.list_runs(team="a b", metadata={"k": "v"}))

    assert len(found) == 2
    assert [asked.path for asked in api.asked] == [
        "/v1/runs?team=a+b&metadata%5Bk%5D=v",
        "/v1/runs?team=a+b&metadata%5Bk%5D=v&after=c1",
        "/v1/runs?team=a+b&metadata%5Bk%5D=v&after=c2",
    ]


@with_both_clients
def test_a_poll_without_news_is_none(send: Way) -> None:
    with scripted_api(Given(304)) as api:
        assert send(api.url, runs.poll_run("r", wait_seconds=2, after_revision=3)) is None

    assert api.asked[0].headers["if-none-match"] == '"r3"'
    assert api.asked[0].headers["prefer"] == "wait=2"


@with_both_clients
def test_a_file_is_sent_as_it_is_and_again_after_a_failure(send: Way, tmp_path: Path) -> None:
    path = tmp_path / "items.jsonl"
    path.write_bytes(b"x" * 200_000)
    body = Upload(path, "application/jsonl")
    upload = Request(method="POST", path="/v1/files", read=nothing, body=body)
    with scripted_api(Given(503), Given(200)) as api:
        send(api.url, upload)

    assert [asked.body for asked in api.asked] == [path.read_bytes()] * 2
    assert api.asked[0].headers["content-type"] == "application/jsonl"


@with_both_clients
def test_a_base_url_may_have_a_path_and_a_password(send: Way) -> None:
    with scripted_api(Given(200, RUN)) as api:
        url = api.url.replace("http://", "http://user:pass@") + "/prefix/"
        send(url, runs.get_run("r"))

    assert api.asked[0].path == "/prefix/v1/runs/r"
    assert api.asked[0].headers["authorization"].startswith("Basic ")


@with_both_clients
def test_variables_name_the_server_and_the_key(send: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted_api(Given(200, RUN)) as api:
        monkeypatch.setenv("TEAMRUN_URL", api.url)
        monkeypatch.setenv("TEAMRUN_API_KEY", "key_2")
        send("", runs.get_run("r"))

    assert api.asked[0].headers["authorization"] == "Bearer key_2"


@with_both_clients
@pytest.mark.parametrize(
    ("url", "key"),
    [("ftp://x", "k"), ("http://h:99999", "k"), ("http://h/?q", "k"), ("http://h", "kéy")],
)
def test_a_url_or_key_that_cannot_be_used_is_refused(send: Way, url: str, key: str) -> None:
    with pytest.raises(UsageError):
        send(url, server.info(), api_key=key)


def test_what_cannot_be_sent_is_refused_before_it_is_sent() -> None:
    with pytest.raises(UsageError):
        runs.submit("t", "half \ud800")
    with pytest.raises(UsageError):
        runs.submit("t", "x", delay_seconds=float("nan"))
    with pytest.raises(UsageError):
        runs.submit("t", "x", idempotency_key=" k")
    with pytest.raises(UsageError):
        signals.answer("r", "a", data=object())
    with pytest.raises(UsageError):
        runs.get_run("../teams")


def test_a_connection_that_breaks_is_named_as_such() -> None:
    once = RetryPolicy(max_retries=0)
    with scripted_api(CUT) as api, pytest.raises(APIConnectionError) as raised:
        by_client(api.url, teams.get_team("t"), retries=once)

    assert raised.value.code == "connection_failed"


BYTES = b"\x00\x01" * 100_000
TAG = {"ETag": '"7ab5cd3c0cb3ef2f8dc8ea6ed5ef6a5b9fd4a5a0cc0b1f4f3b4d1ecb5f1a4bb5"'}


@with_both_clients
def test_a_download_is_whole_or_not_there(send: Way, tmp_path: Path) -> None:
    call = artifacts.download("r", "chart.png", tmp_path)
    with scripted_api(Given(200, BYTES[:900], is_whole=False), Given(200, BYTES)) as api:
        path = send(api.url, call)

    assert path == tmp_path / "chart.png"
    assert path.read_bytes() == BYTES
    assert list(tmp_path.iterdir()) == [path]


@with_both_clients
def test_a_download_that_breaks_is_continued(send: Way, tmp_path: Path) -> None:
    tag = {"ETag": '"v1"'}
    first = Given(200, BYTES[:70_000], tag, is_whole=False)
    rest = Given(206, BYTES[PIECE_BYTES:], tag)
    with scripted_api(first, CUT, rest) as api:
        path = send(api.url, batches.download_results("b", tmp_path / "r.jsonl"))

    assert path.read_bytes() == BYTES
    assert [each.headers.get("range") for each in api.asked] == [
        None,
        *[f"bytes={PIECE_BYTES}-"] * 2,
    ]
    assert api.asked[1].headers["if-range"] == '"v1"'


NO_REST = json.dumps({"code": "range_not_satisfiable", "detail": "D."}).encode()


@with_both_clients
def test_a_download_that_breaks_after_its_last_byte_is_complete(send: Way, tmp_path: Path) -> None:
    whole, tag = BYTES[: 2 * PIECE_BYTES], {"ETag": '"v1"'}
    first = Given(200, whole, tag, is_whole=False)
    nothing = Given(416, NO_REST, {**tag, "Content-Range": f"bytes */{len(whole)}"})
    with scripted_api(first, nothing) as api:
        path = send(api.url, batches.download_results("b", tmp_path / "r.jsonl"))

    assert path.read_bytes() == whole
    assert api.asked[1].headers["range"] == f"bytes={len(whole)}-"


@with_both_clients
@pytest.mark.parametrize("size", [{}, {"Content-Range": "bytes */9"}])
def test_a_download_that_became_shorter_begins_again(
    send: Way, size: dict[str, str], tmp_path: Path
) -> None:
    first = Given(200, BYTES[: 2 * PIECE_BYTES], {"ETag": '"v1"'}, is_whole=False)
    with scripted_api(first, Given(416, NO_REST, size), Given(200, b"123456789")) as api:
        path = send(api.url, batches.download_results("b", tmp_path / "r.jsonl"))

    assert path.read_bytes() == b"123456789"
    assert "range" not in api.asked[2].headers


@with_both_clients
def test_a_download_begins_again_if_the_document_has_changed(send: Way, tmp_path: Path) -> None:
    first = Given(200, BYTES[:70_000], {"ETag": '"v1"'}, is_whole=False)
    with scripted_api(first, Given(200, BYTES, {"ETag": '"v2"'})) as api:
        path = send(api.url, batches.download_results("b", tmp_path / "r.csv"))

    assert path.read_bytes() == BYTES
    assert api.asked[0].headers["accept"] == "text/csv"


@with_both_clients
def test_a_table_can_have_exact_texts(send: Way, tmp_path: Path) -> None:
    call = batches.download_results("b", tmp_path / "r.csv", escape_formulas=False)
    with scripted_api(Given(200, b"=1\n")) as api:
        send(api.url, call)

    assert api.asked[0].path == "/v1/batches/b/results?escape_formulas=false"


@with_both_clients
def test_a_damaged_download_leaves_nothing(send: Way, tmp_path: Path) -> None:
    call = artifacts.download("r", "chart.png", tmp_path)
    with scripted_api(*[Given(200, BYTES, TAG)] * 5) as api, pytest.raises(APIConnectionError):
        send(api.url, call)

    assert list(tmp_path.iterdir()) == []


@with_both_clients
def test_a_file_is_replaced_only_on_request(send: Way, tmp_path: Path) -> None:
    old = tmp_path / "a.txt"
    old.write_bytes(b"old")
    with scripted_api(Given(200, b"new")) as api:
        with pytest.raises(FileExistsError):
            send(api.url, artifacts.download("r", "a.txt", old))
        assert (old.read_bytes(), api.asked) == (b"old", [])

        send(api.url, artifacts.download("r", "a.txt", old, replace=True))
    assert old.read_bytes() == b"new"


@with_both_clients
def test_a_failed_download_keeps_the_old_file(send: Way, tmp_path: Path) -> None:
    old = tmp_path / "a.txt"
    old.write_bytes(b"old")
    with scripted_api(problem(404, "artifact_not_found")) as api, pytest.raises(TeamrunAPIError):
        send(api.url, artifacts.download("r", "a.txt", old, replace=True))

    assert list(tmp_path.iterdir()) == [old]
    assert old.read_bytes() == b"old"


@with_both_clients
def test_reading_a_file_gives_its_bytes(send: Way) -> None:
    with scripted_api(Given(200, BYTES)) as api:
        assert send(api.url, artifacts.read("r", "chart.png", version=2)) == BYTES

    assert api.asked[0].path == "/v1/runs/r/artifacts/chart.png/versions/2"


@with_both_clients
def test_a_request_of_ones_own_is_sent_as_well(send: Way) -> None:
    with scripted_api(Given(200, b'{"a": 1}')) as api:
        assert send(api.url, get("/v1/later", json_of(JsonObject)), retries=AT_ONCE) == {"a": 1}
