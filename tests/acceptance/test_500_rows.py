"""A CSV file of 500 rows with the Python client, the command line and curl: the same results."""

import csv
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.api_server import ApiServer, api_server
from tests.support.services import not_here

from teamrun.client import Client

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(180)]

TEAM = """\
version: 1
models:
  default: {type: scripted, script: {writer: ["Schön: \\"ja\\", nein\\n→ 雨"]}}
agents:
  writer: {model: default}
teams:
  summarizers: {type: round_robin_group_chat, agents: [writer], max_turns: 1}
"""
TEMPLATE = "Summarise {title}: {body}"
ROWS = 500


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    with api_server(tmp_path_factory.mktemp("api"), team_file=TEAM) as started:
        yield started


@pytest.fixture
def books(tmp_path: Path) -> Path:
    """A file as a spreadsheet writes it: a mark, CRLF, quotes, and cells with line ends."""
    path = tmp_path / "books.csv"
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["custom_id", "title", "body"])
        for number in range(ROWS):
            rows.writerow([f"book-{number}", f'The "{number}"', f"A line,\nand ü {number}."])
    return path


def with_the_client(url: str, books: Path, output: Path) -> None:
    with Client(url) as client:
        batch = client.batches.submit_file("summarizers", books, input_template=TEMPLATE)
        client.batches.wait(batch.id, timeout=120)
        client.batches.download_results(batch.id, output)


def with_the_command_line(url: str, books: Path, output: Path) -> None:
    command = [sys.executable, "-m", "teamrun", "batch", str(books), "--team", "summarizers"]
    _done(*command, "--input-template", TEMPLATE, "--output", str(output), "--url", url)


def without_a_server(_: str, books: Path, output: Path) -> None:
    config = output.with_name("teamrun.yaml")
    config.write_text(TEAM, encoding="utf-8")
    command = [sys.executable, "-m", "teamrun", "batch", str(books), "--team", "summarizers"]
    options = ["--local", "--config", str(config)]
    _done(*command, "--input-template", TEMPLATE, "--output", str(output), *options)


def with_curl(url: str, books: Path, output: Path) -> None:
    if shutil.which("curl") is None:
        not_here("curl is not installed")
    curl = ("curl", "-sS", "--fail-with-body")
    file = json.loads(_done(*curl, f"{url}/v1/files?name=books.csv", "--data-binary", f"@{books}"))
    body = {"team": "summarizers", "input_template": TEMPLATE, "input_file_id": file["id"]}
    typed = ("-H", "Content-Type: application/json")
    batch = json.loads(_done(*curl, f"{url}/v1/batches", *typed, "-d", json.dumps(body)))
    one = f"{url}/v1/batches/{batch['id']}"
    while json.loads(_done(*curl, one, "-H", "Prefer: wait=30"))["status"] != "completed":
        pass
    _done(*curl, f"{one}/results", "-H", "Accept: text/csv", "-o", str(output))


def _done(*command: str) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, encoding="utf-8", timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


EXPECTED = [
    {
        "custom_id": f"book-{number}",
        "status": "completed",
        "output": 'Schön: "ja", nein\n→ 雨',
        "error_code": "",
        "error": "",
    }
    for number in range(ROWS)
]


@pytest.mark.parametrize(
    "way", [with_the_client, with_the_command_line, without_a_server, with_curl]
)
def test_500_rows_become_500_results_in_their_order(
    way: Callable[[str, Path, Path], None], server: ApiServer, books: Path, tmp_path: Path
) -> None:
    output = tmp_path / "results.csv"
    way(server.url, books, output)

    rows = rows_of(output)
    assert [{name: row[name] for name in EXPECTED[0]} for row in rows] == EXPECTED
    assert len({row["run_id"] for row in rows}) == ROWS
    assert {row["output_tokens"] for row in rows} == {rows[0]["output_tokens"]}
