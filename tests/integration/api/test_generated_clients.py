"""Clients that are made from the OpenAPI document, by common generators and by `/docs`.

A generated client is type-checked together with a program that uses it, and run against a server.
"""

import json
import os
import shutil
import subprocess
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.api_server import ApiServer, api_server
from tests.support.services import not_here

ROOT = Path(__file__).parents[3]
DOCUMENT = ROOT / "docs" / "reference" / "openapi.json"
LOCK = ROOT / "requirements-generators.lock"
NODE = ROOT / "tests" / "node"

TEAM_FILE = """\
version: 1
models:
  default:
    type: scripted
    script:
      - {tool_calls: [{name: note, arguments: {text: It is noted.}}]}
      - It is done. DONE
tools:
  note: {type: function, function: "notes:note"}
teams:
  writers:
    type: round_robin_group_chat
    participants:
      - type: assistant_agent
        name: writer
        model: default
        tools: [note]
        reflect_on_tool_use: true
    termination: {type: text_mention, text: DONE}
"""

TOOLS = '''\
from teamrun.tools import ToolContext


def note(text: str, context: ToolContext) -> str:
    """Write a note."""
    context.artifacts.write("note.txt", text, "text/plain; charset=utf-8")
    return "noted"
'''


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ApiServer]:
    (tmp_path / "notes.py").write_text(TOOLS, encoding="utf-8")
    with api_server(tmp_path, team_file=TEAM_FILE) as started:
        yield started


def _done(*command: object, cwd: Path, **environ: str) -> str:
    """The output of a command that ends with 0."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, **environ},
        capture_output=True,
        encoding="utf-8",
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


EXPECTED: dict[str, Any] = {
    "status": "completed",
    "output": "It is done. DONE",
    "file": "It is noted.",
    "parent": True,
    "refused": "run_ended",
    "listed": True,
}


def _generators(folder: Path) -> Path:
    """A Python with the generator, which cannot share an environment with the service."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    command = (python, "-m", "pip", "install", "--quiet", "--require-hashes", "-r", LOCK)
    words = [str(part) for part in command]
    done = subprocess.run(words, capture_output=True, encoding="utf-8", timeout=200, check=False)
    if done.returncode != 0:
        not_here(f"the generator cannot be installed: {done.stderr[-500:]}")
    return python


@pytest.mark.integration
@pytest.mark.timeout(400)
def test_the_python_client_is_typed_and_works(server: ApiServer, tmp_path: Path) -> None:
    folder = tmp_path / "client"
    folder.mkdir()
    config = (
        "post_hooks: []\ncontent_type_overrides: {application/x-ndjson: application/octet-stream}\n"
    )
    (folder / "config.yml").write_text(config, encoding="utf-8")
    executable = _generators(tmp_path / "venv")
    python = (executable, "-m")
    _done(
        *(*python, "openapi_python_client", "generate", "--path", DOCUMENT, "--meta", "none"),
        *("--output-path", folder / "generated", "--config", folder / "config.yml"),
        "--fail-on-warning",
        cwd=folder,
    )
    program = shutil.copy(ROOT / "tests" / "support" / "clients" / "use_python.py", folder)
    for source in (folder / "generated").rglob("*.py"):
        compile(source.read_text("utf-8"), str(source), "exec")
    _done(*python, "mypy", "--strict", "--cache-dir", folder / "cache", program, cwd=folder)
    said = json.loads(_done(executable, program, server.url, cwd=folder))
    assert said.items() >= EXPECTED.items()
    assert (said["own"], said["valid"]) == (422, True)
    assert said["events"] > 10


@pytest.mark.integration
@pytest.mark.node
@pytest.mark.timeout(180)
def test_the_typescript_client_is_typed_and_works(server: ApiServer, tmp_path: Path) -> None:
    node = shutil.which("node")
    modules = NODE / "node_modules"
    if node is None:
        not_here("Node is not on PATH")
    if not (modules / "openapi-typescript").is_dir():
        not_here("openapi-typescript is not installed: npm ci --prefix tests/node")
    (tmp_path / "node_modules").symlink_to(modules)
    program = shutil.copy(NODE / "use_typescript.ts", tmp_path / "main.ts")
    generator = modules / "openapi-typescript" / "bin" / "cli.js"
    _done(node, generator, DOCUMENT, "-o", tmp_path / "schema.d.ts", cwd=tmp_path)
    options = ("--strict", "--target", "es2022", "--module", "nodenext", "--types", "node")
    compiler = modules / "typescript" / "bin" / "tsc"
    (tmp_path / "package.json").write_text('{"type": "commonjs"}', encoding="utf-8")
    _done(node, compiler, *options, "--skipLibCheck", "--outDir", "out", program, cwd=tmp_path)
    said = json.loads(_done(node, "out/main.js", server.url, cwd=tmp_path))
    assert said == {**EXPECTED, "turns": "number"}


@pytest.mark.integration
@pytest.mark.node
@pytest.mark.timeout(120)
def test_the_interactive_reference_submits_and_reads_runs_and_asks_no_other_server(
    server: ApiServer, tmp_path: Path
) -> None:
    node = shutil.which("node")
    if node is None:
        not_here("Node is not on PATH")
    if not (NODE / "node_modules" / "happy-dom").is_dir():
        not_here("happy-dom is not installed: npm ci --prefix tests/node")
    said = json.loads(_done(node, NODE / "use_docs.mjs", server.url, cwd=tmp_path))
    document = json.loads(DOCUMENT.read_text("utf-8"))
    operations = {
        operation["operationId"]
        for item in document["paths"].values()
        for operation in item.values()
    }
    assert set(said["listed"]) == operations
    assert said["asked"]
    assert {url.startswith(f"{server.url}/") for url in said["asked"]} == {True}
    assert (said["submitted"], said["status"], said["got"]) == ("200", "completed", ["200", True])
    assert (said["none"], said["markup"], said["left"]) == ([], 0, ["cancelRun", "cancelBatch"])
    assert said["fields"] == len(document["components"]["schemas"]["Run"]["properties"])
    assert "secret-key" not in said["curl"]
    assert '\'{"team":"writers","input":"<b>Go</b>"}\'' in said["curl"]
