"""`teamrun files` and `teamrun result`, against a server that may send anything."""

import json
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.support.http_server import QuietHandler, serving
from typer.testing import CliRunner

from teamrun.cli.app import app
from teamrun.errors import UsageError


def artifact(name: str, version: int) -> dict[str, Any]:
    return {
        "name": name,
        "version": version,
        "media_type": "text/plain",
        "size": 3,
        "sha256": "0",
        "url": f"http://elsewhere.invalid/{version}",
    }


@contextmanager
def answering(answers: dict[str, bytes]) -> Generator[str]:
    """A server on this machine; yields its URL."""

    class Handler(QuietHandler):
        def do_GET(self) -> None:
            body = answers.get(self.path)
            self.answer(404 if body is None else 200, body or b"")

    with serving(Handler) as url:
        yield url


@pytest.fixture
def url() -> Generator[str]:
    page = {"data": [artifact("a.txt", 1), artifact("a.txt", 2), artifact("../b.txt", 3)]}
    answers = {
        "/v1/runs/run_1/artifacts": json.dumps(page).encode(),
        "/v1/runs/run_1/artifacts/a.txt/versions/1": b"one",
        "/v1/runs/run_1/artifacts/a.txt/versions/2": b"\xff\x00",
        "/v1/runs/run_1/artifacts/..%2Fb.txt/versions/3": b"bad",
    }
    with answering(answers) as url:
        yield url


def files(url: str, *arguments: str) -> Any:
    return CliRunner().invoke(app, ["files", "run_1", *arguments, "--url", url])


def test_without_a_name_the_files_are_listed(url: str) -> None:
    lines = files(url).stdout.splitlines()

    assert [line.split("\t")[:2] for line in lines[:2]] == [["a.txt", "1"], ["a.txt", "2"]]


@pytest.mark.parametrize(("version", "data"), [((), b"\xff\x00"), (("--version", "1"), b"one")])
def test_a_file_is_downloaded_as_it_is(
    version: tuple[str, ...], data: bytes, url: str, tmp_path: Path
) -> None:
    folder = tmp_path / "new"

    assert files(url, "a.txt", *version, "--output", str(folder)).exit_code == 0

    assert (folder / "a.txt").read_bytes() == data
    assert files(url, "a.txt", *version, "--output", "-").stdout_bytes == data


def test_a_file_that_is_there_is_replaced_only_by_force(url: str, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"mine")

    refused = files(url, "a.txt", "--output", str(tmp_path))

    assert isinstance(refused.exception, UsageError)
    assert path.read_bytes() == b"mine"
    assert files(url, "a.txt", "--output", str(tmp_path), "--force").exit_code == 0
    assert path.read_bytes() == b"\xff\x00"


@pytest.mark.parametrize("arguments", [("../b.txt",), ("--all",)])
def test_a_name_that_leads_out_of_the_folder_is_refused(
    arguments: tuple[str, ...], url: str, tmp_path: Path
) -> None:
    folder = tmp_path / "in"

    refused = files(url, *arguments, "--output", str(folder))

    assert isinstance(refused.exception, UsageError)
    assert not (tmp_path / "b.txt").exists()


def test_an_output_that_is_a_file_is_no_folder_and_force_does_not_help(
    url: str, tmp_path: Path
) -> None:
    output = tmp_path / "there"
    output.write_bytes(b"kept")

    for more in ((), ("--force",)):
        refused = files(url, "a.txt", "--output", str(output), *more)
        assert isinstance(refused.exception, UsageError)
        assert "--output" in str(refused.exception)
        assert "--force" not in str(refused.exception)
    assert output.read_bytes() == b"kept"


def test_a_file_that_the_run_does_not_have_is_named_with_those_it_has(url: str) -> None:
    refused = files(url, "c.txt")

    assert isinstance(refused.exception, UsageError)
    assert "a.txt" in str(refused.exception)


@pytest.mark.parametrize(
    ("status", "exit_status"), [("completed", 0), ("failed", 1), ("incomplete", 1)]
)
def test_a_result_is_its_text_and_the_status_of_its_run(status: str, exit_status: int) -> None:
    document = {
        "run_id": "run_1",
        "status": status,
        "output": {"text": "Snow."},
        "finished_at": "2026-03-31T08:00:00Z",
    }
    with answering({"/v1/runs/run_1/result": json.dumps(document).encode()}) as url:
        done = CliRunner().invoke(app, ["result", "run_1", "--url", url])
        as_json = CliRunner().invoke(app, ["result", "run_1", "--url", url, "--json"])

    assert (done.exit_code, done.stdout) == (exit_status, "Snow.\n")
    assert (as_json.exit_code, json.loads(as_json.stdout)) == (exit_status, document)
