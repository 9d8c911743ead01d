"""The code of every page is run: Python blocks, team files, bodies of requests, local commands.

Blocks of a page are taken in their order and share a folder and a namespace. A block with a title
is written to the file of that name (a team file without `version` is added to the one that is
there); `output` is the output of the block before it. Blocks that import `teamrun.client` have a
server of the page's teams.
"""

import contextlib
import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.api_server import api_server
from tests.support.pages import PAGES, ROOT, Block, Page, commands, merged
from tests.support.services import bubblewrap
from typer.testing import CliRunner

from teamrun.cli.app import app
from teamrun.components.registry import Registry
from teamrun.components.team_file import load_registry
from teamrun.runs.service.requests import Answer, ForkRequest, RetryRequest, RunRequest
from teamrun.webhooks.requests import WebhookRequest
from teamrun_api.bodies import parse_body
from teamrun_api.schemas import CancelRequest, ResumeRequest, ValidateRequest

SECTIONS = {"version", "models", "tools", "mcp_servers", "functions", "agents", "teams"}
ENVIRON = {"COMPANY": "Example"}
BODIES = {
    "POST /v1/runs": RunRequest,
    "POST /v1/teams:validate": ValidateRequest,
    "POST /v1/webhooks": WebhookRequest,
    "POST /v1/runs/{run_id}/cancel": CancelRequest,
    "POST /v1/runs/{run_id}/input": Answer,
    "POST /v1/runs/{run_id}/resume": ResumeRequest,
    "POST /v1/runs/{run_id}/retry": RetryRequest,
    "POST /v1/runs/{run_id}/fork": ForkRequest,
}


class Reading:
    """One page, read from its beginning."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self._names: dict[str, Any] = {"__name__": "__main__"}
        self._printed = ""

    def take(self, block: Block) -> None:
        if block.title == "output":
            assert block.text.strip() == self._printed.strip(), block.place
            return
        is_file = "." in block.title and not block.title.startswith("POST")
        if is_file and block.language != "yaml":
            (self._folder / block.title).write_text(block.text, encoding="utf-8")
        take: Callable[[Block], None] | None = {
            "python": self._python,
            "yaml": self._yaml,
            "json": self._json,
            "sh": self._shell,
            "": self._shell,
        }.get(block.language)
        if take is not None:
            take(block)

    def _python(self, block: Block) -> None:
        # A traceback points to the location of the block.
        code = compile("\n" * block.line + block.text, str(ROOT / block.page), "exec")
        if block.title.startswith("test_"):
            self._call_tests(code)
        elif not block.title:
            if "teamrun.client" in block.text and "TEAMRUN_URL" not in os.environ:
                self._serve()
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                exec(code, self._names)
            self._printed = out.getvalue()

    def _serve(self) -> None:
        team_file = (self._folder / "teamrun.yaml").read_text(encoding="utf-8")
        server = self._stack.enter_context(api_server(self._folder, team_file=team_file))
        self._stack.enter_context(pytest.MonkeyPatch.context()).setenv("TEAMRUN_URL", server.url)

    def _call_tests(self, code: Any) -> None:
        names: dict[str, Any] = {"__name__": "test", "__file__": str(self._folder / "test.py")}
        exec(code, names)
        tests = [value for name, value in names.items() if name.startswith("test_")]
        assert tests
        for test in tests:
            test()

    def _yaml(self, block: Block) -> None:
        data: dict[str, Any] = yaml.safe_load(block.text)
        if not data.keys() <= SECTIONS:
            return
        path = self._folder / (block.title or "untitled.yaml")
        if path.exists() and "version" not in data:
            data = merged(yaml.safe_load(path.read_text(encoding="utf-8")), data)
        path.write_text(yaml.safe_dump(data, sort_keys=False), encoding="utf-8")
        registry = load_registry(path, environ=ENVIRON)
        registry.preload()
        for team in registry.teams():
            registry.resolve(team=team.name)

    def _json(self, block: Block) -> None:
        data = json.loads(block.text)
        if block.title not in BODIES:
            return
        body = parse_body(block.text.encode(), BODIES[block.title])
        if isinstance(body, RunRequest):
            self._registry().resolve(team=body.team, team_spec=body.team_spec)
        if isinstance(body, ValidateRequest):
            assert self._registry().validate(**data).valid

    def _registry(self) -> Registry:
        own = self._folder / "teamrun.yaml"
        path = own if own.exists() else ROOT / "examples/teamrun.yaml"
        return load_registry(path, environ=ENVIRON)

    def _shell(self, block: Block) -> None:
        for line in commands(block):
            if line.startswith("teamrun run ") and (self._folder / "teamrun.yaml").exists():
                words = [word.strip('"') for word in line.split('"')[0].split()[1:]]
                done = CliRunner().invoke(app, [*words, line.split('"')[1]])
                assert done.exit_code == 0, done.output
                self._printed = done.stdout


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a page; modules imported from it are removed afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    # Servers of pages are started with `python`, as in a virtual environment that is active.
    monkeypatch.setenv(
        "PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    )
    return tmp_path


@pytest.fixture(autouse=True)
def forget_modules(folder: Path) -> Any:
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        place = getattr(sys.modules[name], "__file__", None)
        if place and str(place).startswith((str(folder), str(ROOT / "examples") + os.sep)):
            del sys.modules[name]


@pytest.mark.behaviour("pattern.production")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_code_of_a_page_works(page: Page, folder: Path) -> None:
    if page.name.endswith("code-execution.md"):
        bubblewrap()
    with contextlib.ExitStack() as stack:
        reading = Reading(folder, stack)
        for block in page.blocks:
            reading.take(block)


def test_an_output_that_is_not_what_was_printed_is_seen(folder: Path) -> None:
    reading = Reading(folder, contextlib.ExitStack())
    reading.take(Block("README.md", 1, "python", "", "print(1)\n"))

    with pytest.raises(AssertionError):
        reading.take(Block("README.md", 4, "text", "output", "2\n"))
