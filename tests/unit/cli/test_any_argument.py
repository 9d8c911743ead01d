"""What commands are given leads to no other resource, to no traceback and into no message."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from teamrun.cli.api_client import ApiClient
from teamrun.cli.app import app
from teamrun.components.reading.json_text import load_json
from teamrun.errors import RunNotFound, TeamrunError, Unavailable, UsageError


def client(asked: list[httpx2.Request]) -> ApiClient:
    def handler(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        return httpx2.Response(200, text="{}")

    return ApiClient("http://127.0.0.1:1", transport=httpx2.MockTransport(handler))


@pytest.mark.parametrize(
    "run_id", ["", ".", "..", "../x", "x#", "x?y=1", "%2e", "x y", "x\n", "é", "\0"]
)
def test_an_id_that_is_none_is_refused_before_anything_is_asked(run_id: str) -> None:
    asked: list[httpx2.Request] = []
    calls: list[Any] = [
        lambda: client(asked).get(f"/v1/runs/{run_id}"),
        lambda: client(asked).post(f"/v1/runs/{run_id}/cancel", {}),
        lambda: client(asked).delete(f"/v1/runs/{run_id}"),
        lambda: list(client(asked).follow(run_id)),
    ]

    for call in calls:
        with pytest.raises(UsageError):
            call()
    assert asked == []


@settings(max_examples=100, deadline=None)
@given(run_id=st.text(max_size=12))
def test_a_path_with_any_id_is_that_of_one_run_or_refused(run_id: str) -> None:
    asked: list[httpx2.Request] = []
    try:
        client(asked).get(f"/v1/runs/{run_id}/result")
    except UsageError:
        assert asked == []
    else:
        assert [request.url.raw_path for request in asked] == [f"/v1/runs/{run_id}/result".encode()]


@pytest.mark.parametrize("body", [{"n": float("nan")}, {"n": [float("inf")]}])
def test_a_number_that_is_not_finite_is_refused(body: Mapping[str, Any]) -> None:
    with pytest.raises(UsageError):
        client([]).post("/v1/runs", body)


def test_a_header_that_cannot_be_sent_is_named() -> None:
    with pytest.raises(UsageError, match="Idempotency-Key"):
        client([]).post("/v1/runs", {}, headers={"Idempotency-Key": "é"})


def test_a_body_is_json_of_any_text() -> None:
    asked: list[httpx2.Request] = []
    client(asked).post("/v1/runs", {"input": "ünï \u2028"})

    assert json.loads(asked[0].content) == {"input": "ünï \u2028"}
    assert asked[0].headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    "url", ["http://user:s3cr3t@127.0.0.1:1", "htp://u:s3cr3t@h", "http://u:s3cr3t@h:99999"]
)
def test_a_password_in_the_url_is_in_no_message(url: str) -> None:
    with pytest.raises(TeamrunError) as caught:
        ApiClient(url).get("/v1/runs")

    assert "s3cr3t" not in str(caught.value)
    assert isinstance(caught.value, UsageError | Unavailable)


REFUSED: list[list[str]] = [
    ["answer", "run_1", "--approve", "--reject"],
    ["answer", "run_1", "--reject", "--approve"],
    ["answer", "run_1", "--data", "NaN"],
    ["answer", "run_1", "--data", "1e999"],
    ["answer", "run_1", "--data", "[" * 5000],
    ["submit", "t", "x", "--delay-seconds", "nan"],
    ["submit", "t", "x", "--timeout-seconds", "inf"],
    ["submit", "t", "x", "--idempotency-key", "é"],
    ["submit", "t", "x", "--idempotency-key", "a\nb"],
    ["delete", "."],
    ["watch", "x#"],
    ["cancel", ".."],
]


@pytest.mark.parametrize("arguments", REFUSED, ids=[" ".join(each)[:40] for each in REFUSED])
def test_what_cannot_be_asked_is_wrong_use(arguments: list[str]) -> None:
    done = CliRunner().invoke(app, [*arguments, "--url", "http://127.0.0.1:1"])

    assert isinstance(done.exception, UsageError)


def test_replay_creates_no_folder_and_looks_nowhere_else(tmp_path: Path) -> None:
    (tmp_path / "teamrun.yaml").write_text("teams: {}\nversion: 1\n", encoding="utf-8")
    absent = tmp_path / "absent"
    config = ["--config", str(tmp_path / "teamrun.yaml")]

    there = CliRunner().invoke(app, ["replay", "run_1", "--data-dir", str(absent), *config])
    outside = CliRunner().invoke(app, ["replay", "../../x", "--data-dir", str(tmp_path), *config])

    assert isinstance(there.exception, UsageError)
    assert not absent.exists()
    assert isinstance(outside.exception, RunNotFound | UsageError)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["teamrun.yaml"]


@pytest.mark.parametrize("text", ["NaN", "-Infinity", "1e999", "9" * 5000, "[" * 100_000])
def test_json_that_python_alone_takes_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"number|nested"):
        load_json(text)
