import inspect
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.support.api import Exchange, serve, world

from teamrun import errors
from teamrun.errors import TeamrunError
from teamrun_api import faults
from teamrun_api.problems import problem_of, status_of, title_of


def _classes(module: Any) -> list[type[TeamrunError]]:
    found = [cls for _, cls in inspect.getmembers(module, inspect.isclass)]
    return [cls for cls in found if issubclass(cls, TeamrunError)]


@pytest.mark.parametrize("kind", _classes(faults), ids=lambda kind: kind.__name__)
def test_every_fault_of_a_request_has_a_status_of_its_own(kind: type[TeamrunError]) -> None:
    if kind not in _classes(errors):
        assert 400 <= status_of(kind) < 500 or kind is faults.NotReady


def test_an_exception_outside_of_the_table_is_a_defect_of_the_server() -> None:
    assert [status_of(kind) for kind in (TeamrunError, errors.RunError, errors.NotFound)] == [
        500
    ] * 3
    problem = problem_of(errors.NotFound("/srv/data/t/default"), "req_1")
    assert (problem.status, problem.code) == (500, "internal")
    assert "/srv" not in problem.model_dump_json()


def test_a_title_is_the_first_sentence_of_the_class() -> None:
    assert title_of(errors.RunNotFound) == "The tenant has no run of this id"
    assert title_of(errors.DefinitionError) == "A definition is invalid"


@pytest.mark.parametrize(
    ("error", "title"),
    [
        (errors.DefinitionError("x", code="unknown_team"), "no registered team of this name"),
        (errors.DefinitionError("x", code="unknown_version"), "The version of a team"),
        (errors.DefinitionError("x", code="unknown_model"), "A definition is invalid"),
        (errors.PreconditionFailed("x"), "not the current ETag"),
        (errors.TeamDeleted("x"), "has been deleted"),
    ],
)
def test_a_title_fits_the_problem(error: TeamrunError, title: str) -> None:
    assert title in problem_of(error, "req_1").title


def test_an_unknown_path_is_404_and_names_the_prefix_of_the_api() -> None:
    async def scenario() -> None:
        async with world() as w:
            answer = await w.client.get("/runs")
            assert answer.headers["content-type"] == "application/problem+json"
            assert (answer.status_code, answer.json()["code"]) == (404, "route_not_found")
            assert "/v1" in answer.json()["detail"]
            assert (await w.client.get("/v1/runs/")).status_code == 404

    serve(scenario())


@pytest.mark.parametrize("path", ["/v2/runs", "/v2", "/v0/teams", "/v10/runs/run_1"])
def test_another_version_of_the_api_is_404_and_names_the_one_that_there_is(path: str) -> None:
    async def scenario() -> None:
        async with world() as w:
            answer = await w.client.get(path)
            assert (answer.status_code, answer.json()["code"]) == (404, "unknown_api_version")
            assert "/v1" in answer.json()["detail"]

    serve(scenario())


def test_a_method_that_there_is_not_is_405_with_those_that_there_are() -> None:
    async def scenario() -> None:
        async with world() as w:
            answer = await w.client.delete("/v1/runs")
            assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
            assert answer.headers["allow"] == "GET, HEAD, OPTIONS, POST"

    serve(scenario())


@pytest.mark.parametrize(
    ("path", "allow"),
    [
        ("/v1/runs", "GET, HEAD, OPTIONS, POST"),
        ("/v1/runs/run_1", "DELETE, GET, HEAD, OPTIONS"),
        ("/v1/runs/run_1/cancel", "OPTIONS, POST"),
        ("/v1/teams:validate", "OPTIONS, POST"),
        ("/openapi.json", "GET, HEAD, OPTIONS"),
    ],
)
def test_options_lists_the_methods(path: str, allow: str) -> None:
    async def scenario() -> None:
        async with world() as w:
            answer = await w.client.options(path)
            assert (answer.status_code, answer.headers["allow"]) == (204, allow)
            assert not [name for name in answer.headers if name.startswith("access-control")]

    serve(scenario())


def test_options_of_nothing_is_404() -> None:
    async def scenario() -> None:
        async with world() as w:
            assert (await w.client.options("/v1/nothing")).status_code == 404

    serve(scenario())


def test_head_answers_as_get_without_the_body_and_opens_no_stream() -> None:
    async def scenario() -> None:
        async with world() as w:
            run_id = await w.ended()
            paths = ["/v1/runs", "/v1/teams", "/v1/info", "/healthz", "/readyz", "/openapi.json"]
            paths += [f"/v1/runs/{run_id}{part}" for part in ("", "/result", "/artifacts")]
            paths += [f"/v1/runs/{run_id}/artifacts/note.txt"]
            for path in paths:
                get, head = await w.client.get(path), await w.client.head(path)
                assert (head.status_code, head.content) == (200, b""), path
                assert head.headers["content-length"] == str(len(get.content))
                assert head.headers.get("etag") == get.headers.get("etag")
            raw = Exchange(w.app, "/v1/teams", method="HEAD")
            assert (await raw.start(), await raw.rest()) == (200, b"")
            stream = await w.client.head(
                f"/v1/runs/{run_id}/events", headers={"Accept": "text/event-stream"}
            )
            assert (stream.status_code, stream.headers["content-type"]) == (200, "application/json")
            assert w.service.open == 0
            assert (await w.client.head("/v1/runs/run_0")).status_code == 404

    serve(scenario())


@pytest.mark.parametrize("given", ["abc-123", "00-4bf92f3577b34da6a3ce929d0e0e4736-01"])
def test_a_request_id_is_echoed_in_the_header_and_in_problems(given: str) -> None:
    async def scenario() -> None:
        async with world() as w:
            headers = {"X-Request-Id": given}
            assert (await w.client.get("/healthz", headers=headers)).headers[
                "x-request-id"
            ] == given
            problem = await w.client.get("/nowhere", headers=headers)
            assert problem.headers["x-request-id"] == problem.json()["request_id"] == given

    serve(scenario())


@pytest.mark.parametrize("given", ["", "x" * 129, "a b", "<script>", "a\x00"])
def test_a_request_id_that_could_do_harm_is_replaced(given: str) -> None:
    async def scenario() -> None:
        async with world() as w:
            exchange = Exchange(w.app, "/healthz", headers={"x-request-id": given})
            assert await exchange.start() == 200
            assert exchange.headers["x-request-id"].startswith("req_")
            await exchange.rest()

    serve(scenario())


def test_a_defect_is_500_with_the_request_id_and_nothing_else_of_the_inside(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with world() as w:

            async def broken(*_: Any, **__: Any) -> None:
                raise RuntimeError("password=hunter2 in /srv/app.py")

            monkeypatch.setattr(w.service, "get", broken)
            answer = await w.client.get("/v1/runs/run_1", headers={"X-Request-Id": "abc"})
            assert answer.status_code == 500
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json() | {"detail": ""} == {
                "type": "urn:teamrun:problem:internal",
                "title": "Internal Server Error",
                "status": 500,
                "detail": "",
                "code": "internal",
                "request_id": "abc",
                "errors": [],
            }
            assert "hunter2" not in answer.text and "/srv" not in answer.text

    with caplog.at_level(logging.ERROR, logger="teamrun_api.request_context"):
        serve(scenario())
    (record,) = caplog.records
    assert vars(record)["request_id"] == "abc"
    assert record.exc_info is not None


def test_bodies_that_may_not_be_are_refused() -> None:
    cases: list[tuple[bytes, dict[str, str], int, str]] = [
        (b"{", {}, 400, "invalid_json"),
        (b'{"a":' * 70 + b"1" + b"}" * 70, {}, 400, "invalid_json"),
        (b"x" * 1025, {}, 413, "body_too_large"),
        (b"{}", {"Content-Encoding": "gzip"}, 415, "unsupported_media_type"),
        (b"{}", {"Content-Type": "text/plain"}, 415, "unsupported_media_type"),
        (
            b"{}",
            {"Content-Type": "application/json; charset=utf-16"},
            415,
            "unsupported_media_type",
        ),
        (
            b"a=b",
            {"Content-Type": "application/x-www-form-urlencoded"},
            415,
            "unsupported_media_type",
        ),
    ]

    async def scenario() -> None:
        async with world(body_limit_bytes=1024) as w:
            for path in ("/v1/runs", "/v1/teams:validate", "/v1/runs/run_1/cancel"):
                for body, headers, status, code in cases:
                    sent = {"Content-Type": "application/json", **headers}
                    answer = await w.client.post(path, content=body, headers=sent)
                    assert (answer.status_code, answer.json()["code"]) == (status, code), path

    serve(scenario())


def test_a_body_without_a_type_is_refused_and_one_of_another_case_is_taken() -> None:
    async def scenario() -> None:
        async with world() as w:
            bare = await w.client.post("/v1/runs", content=b"{}")
            assert bare.status_code == 415
            for media_type in ("Application/JSON", 'application/json; charset="UTF-8"'):
                taken = await w.client.post(
                    "/v1/runs",
                    content=b'{"team": "writers", "input": "x"}',
                    headers={"Content-Type": media_type},
                )
                assert taken.status_code == 202

    serve(scenario())


def test_a_body_that_does_not_say_how_long_it_is_is_counted_as_it_comes() -> None:
    async def scenario() -> None:
        async with world(body_limit_bytes=1024) as w:
            pieces = 0

            async def endless() -> AsyncIterator[bytes]:
                nonlocal pieces
                for _ in range(100_000):
                    pieces += 1
                    yield b" " * 512

            answer = await w.client.post(
                "/v1/runs", content=endless(), headers={"Content-Type": "application/json"}
            )
            assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
            assert pieces < 50_000

    serve(scenario())


def test_a_client_that_asks_before_it_sends_too_much_is_answered_at_once() -> None:
    async def scenario() -> None:
        async with world() as w:
            headers = {
                "content-type": "application/json",
                "content-length": "4000000",
                "expect": "100-continue",
            }
            exchange = Exchange(w.app, "/v1/runs", method="POST", headers=headers, body=None)
            assert await exchange.start() == 413
            await exchange.rest()

    serve(scenario())
