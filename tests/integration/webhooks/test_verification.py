"""The code on the page, and the receivers of the examples, accept what is genuine, nothing else."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import httpx2
import pytest
from tests.support.pages import ROOT, page
from tests.support.service import free_port, until
from tests.support.services import not_here

from teamrun.webhooks.request import request_of
from teamrun.webhooks.secret import new_secret
from teamrun.webhooks.target import Target

PAGE = page("docs/how-to/webhooks.md")
NODE = ROOT / "tests" / "node"
EXAMPLES = ROOT / "examples" / "webhooks"

OLD, NEW, OTHER = new_secret(), new_secret(), new_secret()


class Case(NamedTuple):
    """A request, and whether it is genuine for the secret `NEW`."""

    name: str
    headers: dict[str, str]
    body: bytes
    is_genuine: bool


def signed(*secrets: str, later: timedelta = timedelta()) -> tuple[dict[str, str], bytes]:
    event = {
        "id": "run_1-9",
        "seq": 9,
        "type": "run.completed",
        "time": "2026-01-01T00:00:00Z",
        "run_id": "run_1",
        "data": {"output": {"text": "Ünïcode ✓ 🎉"}},
    }
    target = Target(tenant="t", id="own", url="https://x/", events=["*"], secrets=secrets)
    request = request_of(event, target, at=datetime.now(UTC) + later)
    return {name: value for name, value in request.headers.items() if name[:4] == "webh"}, (
        request.body
    )


def cases() -> list[Case]:
    """Signed now, because a receiver refuses what is older than five minutes."""
    headers, body = signed(NEW)
    both, _ = signed(OLD, NEW)
    late, _ = signed(NEW, later=-timedelta(minutes=10))
    early, _ = signed(NEW, later=timedelta(minutes=10))
    foreign, _ = signed(OTHER)
    changed = body.replace(b"run.completed", b"run.cancelled")
    name = "webhook-signature"
    return [
        Case("genuine", headers, body, True),
        Case("during a rotation", both, body, True),
        Case(
            "unknown versions are ignored", {**headers, name: f"v9,x {headers[name]}"}, body, True
        ),
        Case("another body", headers, changed, False),
        Case("one byte changed", headers, body[:-1] + b"]", False),
        Case("another id", {**headers, "webhook-id": "run_1-8"}, body, False),
        Case("another secret", foreign, body, False),
        Case("too old", late, body, False),
        Case("too new", early, body, False),
        Case("no signature", {**headers, name: ""}, body, False),
        Case("signature without a version", {**headers, name: headers[name][3:]}, body, False),
        Case("no Base64", {**headers, name: "v1,%%%"}, body, False),
        Case("no time", {**headers, "webhook-timestamp": "soon"}, body, False),
    ]


def block(title: str) -> str:
    return next(each.text for each in PAGE.blocks if each.title == title)


def program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        not_here(f"{name} is not on PATH")
    return found


def answers(*command: str | Path, cwd: Path) -> list[bool]:
    """What a program says about each case, which it reads as JSON lines."""
    lines = "".join(json.dumps([NEW, case.headers, case.body.decode()]) + "\n" for case in cases())
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        input=lines.encode(),
        capture_output=True,
        check=False,
        timeout=50,
    )
    assert done.returncode == 0, done.stderr.decode()
    return [line == "true" for line in done.stdout.decode().split()]


def wanted() -> list[bool]:
    return [case.is_genuine for case in cases()]


def test_the_python_code_of_the_page(tmp_path: Path) -> None:
    (tmp_path / "verify.py").write_text(block("verify.py"), encoding="utf-8")
    main = (
        "import json, sys\nfrom verify import event_of\n"
        "for line in sys.stdin.buffer:\n"
        "    secret, headers, body = json.loads(line)\n"
        "    print(str(event_of(secret, body.encode(), headers) is not None).lower())\n"
    )
    (tmp_path / "main.py").write_text(main, encoding="utf-8")
    assert answers(sys.executable, "main.py", cwd=tmp_path) == wanted()


def test_the_javascript_code_of_the_page(tmp_path: Path) -> None:
    (tmp_path / "verify.mjs").write_text(block("verify.mjs"), encoding="utf-8")
    main = (
        'import { createInterface } from "node:readline";\n'
        'import { isGenuine } from "./verify.mjs";\n'
        "for await (const line of createInterface({ input: process.stdin }))\n"
        "  console.log(isGenuine(...(([s, h, b]) => [s, b, h])(JSON.parse(line))));\n"
    )
    (tmp_path / "main.mjs").write_text(main, encoding="utf-8")
    assert answers(program("node"), "main.mjs", cwd=tmp_path) == wanted()


def test_the_java_code_of_the_page(tmp_path: Path) -> None:
    compiler, java = program("javac"), program("java")
    (tmp_path / "Verify.java").write_text(block("Verify.java"), encoding="utf-8")
    rows = "".join(
        "    System.out.println(Verify.isGenuine("
        + ", ".join(
            json.dumps(text)
            for text in (
                NEW,
                case.headers["webhook-id"],
                case.headers["webhook-timestamp"],
                case.headers["webhook-signature"],
            )
        )
        + f", {json.dumps(case.body.decode())}.getBytes(StandardCharsets.UTF_8),"
        + f" {int(datetime.now(UTC).timestamp())}L));\n"
        for case in cases()
    )
    main = (
        "import java.nio.charset.StandardCharsets;\n"
        "final class Main {\n"
        "  public static void main(String[] arguments) throws Exception {\n"
        f"{rows}  }}\n}}\n"
    )
    (tmp_path / "Main.java").write_text(main, encoding="utf-8")
    subprocess.run(
        [compiler, "-encoding", "UTF-8", "Main.java", "Verify.java"],
        cwd=tmp_path,
        check=True,
        timeout=50,
    )
    assert answers(java, "-Xshare:auto", "Main", cwd=tmp_path) == wanted()


@contextmanager
def listening(command: list[str], folder: Path, port: int) -> Generator[subprocess.Popen[str]]:
    environ = {**os.environ, "WEBHOOK_SECRET": NEW, "PORT": str(port)}
    process = subprocess.Popen(command, cwd=folder, env=environ, stdout=subprocess.PIPE, text=True)
    try:
        until(lambda: _answers(port), f"{command[0]} listens", within_s=30)
        yield process
    finally:
        process.terminate()
        process.wait(20)
        assert process.stdout is not None
        process.stdout.close()


def _answers(port: int) -> bool:
    try:
        with httpx2.Client(trust_env=False) as client:
            return client.get(f"http://127.0.0.1:{port}/").status_code == 404
    except httpx2.TransportError:
        return False


def fastapi(folder: Path, port: int) -> list[str]:
    shutil.copy(EXAMPLES / "receiver.py", folder)
    return [sys.executable, "-m", "uvicorn", "receiver:app", "--port", str(port)]


def express(folder: Path, port: int) -> list[str]:
    node = program("node")
    if not (NODE / "node_modules" / "express").is_dir():
        not_here("Express is not installed: npm ci --prefix tests/node")
    (folder / "node_modules").symlink_to(NODE / "node_modules")
    shutil.copy(EXAMPLES / "receiver.mjs", folder)
    return [node, "receiver.mjs"]


@pytest.mark.integration
@pytest.mark.parametrize(
    "make", [fastapi, pytest.param(express, marks=pytest.mark.node)], ids=["fastapi", "express"]
)
def test_a_receiver_of_the_examples_refuses_what_is_not_genuine(
    make: Callable[[Path, int], list[str]], tmp_path: Path
) -> None:
    port = free_port()
    with listening(make(tmp_path, port), tmp_path, port) as process:
        with httpx2.Client(trust_env=False) as client:
            statuses = [
                client.post(
                    f"http://127.0.0.1:{port}/hook",
                    content=case.body,
                    headers={**case.headers, "content-type": "application/json"},
                ).status_code
                for case in cases()
            ]
        process.terminate()
        assert process.stdout is not None
        said = process.stdout.read()
    assert statuses == [204 if case.is_genuine else 401 for case in cases()]
    assert said.count("run.completed run_1") == 1  # the same event is handled once
