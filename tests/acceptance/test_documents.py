"""The shell lines of the README and the quick start, executed against a running service.

The real model client calls a test server, since the team file of the README has a model.
"""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.model_replies import Plan, Reply, Rule, ToolCall
from tests.support.pages import ROOT, Block, commands, merged, page
from tests.support.service import Served, serving
from tests.support.services import not_here

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(180)]

OURS = re.compile(r"curl |ID=|teamrun (?:submit|watch|runs|cancel|teams|version)\b")
KEEP = ToolCall(name="keep", arguments={"poem": "Rain on the roof."})
PLAN = Plan(
    rules=[
        Rule(
            system_contains="keep it with your tool", contains="Kept", reply=Reply(content="DONE")
        ),
        Rule(system_contains="keep it with your tool", reply=Reply(tool_calls=[KEEP])),
        Rule(system_contains="what to improve", reply=Reply(content="It is good. APPROVE")),
    ],
    default=Reply(content="Rain taps on the roof."),
)
SCRIPT = """\
set -eu
teamrun() { "$PYTHON" -m teamrun "$@"; }
curl() { command curl -sS --max-time 60 -w '%{stderr}status %{http_code}\\n' "$@"; }
"""


def files_of(name: str) -> Iterator[Block]:
    return (block for block in page(name).blocks if block.language in ("yaml", "python"))


def write_folder(folder: Path) -> Path:
    """The files of both pages in one folder; the README's team is the one that counts."""
    content: dict[str, Any] = {}
    for name in ("docs/quick-start.md", "README.md"):
        for block in files_of(name):
            if block.language == "yaml":
                content = merged(content, yaml.safe_load(block.text))
            elif block.title:
                (folder / block.title).write_text(block.text, encoding="utf-8")
    path = folder / "teamrun.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


@contextmanager
def model_server(folder: Path) -> Generator[str]:
    """The base URL of a model that answers by the plan."""
    path = folder / "plan.json"
    path.write_text(PLAN.model_dump_json(), encoding="utf-8")
    command = [sys.executable, "-m", "tests.support.model_server", "--exit-with-stdin"]
    process = subprocess.Popen(
        [*command, "--plan", str(path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdin is not None and process.stdout is not None
        yield process.stdout.readline().strip()
        process.stdin.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Generator[Served]:
    if shutil.which("curl") is None:
        not_here("curl is not installed")
    folder = tmp_path_factory.mktemp("documents")
    config = write_folder(folder)
    with model_server(folder) as url:
        environ = {"OPENAI_API_KEY": "sk-test", "OPENAI_BASE_URL": url}
        with serving(folder / "data", config=config, environ=environ) as served:
            yield served


def lines_of(name: str) -> list[str]:
    blocks = [block for block in page(name).blocks if block.language == "sh"]
    return [line for block in blocks for line in commands(block) if OURS.match(line)]


def typed(
    lines: list[str], served: Served, *, folder: Path | None = None
) -> "subprocess.CompletedProcess[str]":
    script = SCRIPT + "\n".join(lines).replace("http://127.0.0.1:8080", served.url)
    return subprocess.run(
        ["sh", "-c", script],
        cwd=folder,
        env={**served.environ, "TEAMRUN_URL": served.url, "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )


@pytest.mark.behaviour("pattern.production")
@pytest.mark.parametrize("name", ["README.md", "docs/quick-start.md"])
def test_the_commands_of_a_page_work(name: str, served: Served) -> None:
    lines = lines_of(name)
    requests = [line for line in lines if line.startswith("curl ")]
    assert len(requests) > 4

    done = typed(lines, served)

    assert done.returncode == 0, done.stderr
    expected = [(re.search(r"# (\d{3})\b", line) or ["", "200"])[1] for line in requests]
    assert re.findall(r"^status (\d+)$", done.stderr, re.MULTILINE) == expected
    assert "event: end" in done.stdout
    assert "APPROVE" in done.stdout


def test_a_stream_that_is_resumed_as_the_readme_says_continues_where_it_was(served: Served) -> None:
    assert served.cli("submit", "poets", "rain", "--watch").returncode == 0
    run_id = served.cli("runs", "--limit", "1", "--ids").stdout.strip()
    result = served.get(f"/v1/runs/{run_id}/result")
    assert result["output"]["text"] == "Rain taps on the roof."  # the writer's words
    [line] = [line for line in lines_of("README.md") if "Last-Event-ID" in line]

    done = typed([f"ID={run_id}", line], served)

    numbers = [
        json.loads(text)["seq"] for text in re.findall(r"^data: (.*\"seq\".*)$", done.stdout, re.M)
    ]
    last = len(served.get(f"/v1/runs/{run_id}/events?limit=1000")["data"])
    assert numbers == list(range(13, last + 1))


def test_the_commands_of_the_page_about_teams_work(served: Served, tmp_path: Path) -> None:
    if shutil.which("jq") is None:
        not_here("jq is not installed")
    here = page("docs/how-to/teams.md")
    for block in here.blocks:
        if block.title.endswith(".json"):
            (tmp_path / block.title).write_text(block.text, encoding="utf-8")
    lines = lines_of(here.name)
    assert len([line for line in lines if line.startswith("curl ")]) > 10

    done = typed(lines, served, folder=tmp_path)

    assert done.returncode == 0, done.stderr
    expected = [(re.search(r"# (\d{3})$", line) or ["", "200"])[1] for line in lines]
    assert re.findall(r"^status (\d+)$", done.stderr, re.MULTILINE) == expected, done.stdout
    assert '"version":"2"' in done.stdout
    assert "/participants/0/system_message" in done.stdout


def test_the_commands_of_the_page_about_threads_work(served: Served) -> None:
    if shutil.which("jq") is None:
        not_here("jq is not installed")
    blocks = [block for block in page("docs/how-to/threads.md").blocks if block.language == "sh"]
    lines = [line for block in blocks for line in commands(block)]

    done = typed(lines, served)

    assert done.returncode == 0, done.stderr
    expected = [(re.search(r"# (\d{3})$", line) or ["", "200"])[1] for line in lines]
    expected[0] = "201"
    assert re.findall(r"^status (\d+)$", done.stderr, re.MULTILINE) == expected, done.stdout
    assert done.stdout.count('"content":"rain"') >= 2
    assert '"agent_states"' in done.stdout
