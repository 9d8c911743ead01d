"""Sandboxes that stay between executions: what they keep, and how they are lost."""

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.services import bubblewrap

from teamrun.code import SandboxCodeExecutor, SandboxLimits
from teamrun.code.sandbox import sessions
from teamrun.code.sandbox.sessions import Sessions
from teamrun.errors import SessionLost
from teamrun.messages.code import CodeBlock

LIMITS = SandboxLimits(timeout=20, memory_mb=128, processes=8, work_mb=4)


@pytest.fixture
async def executor() -> AsyncGenerator[SandboxCodeExecutor, None]:
    bubblewrap()
    async with SandboxCodeExecutor(LIMITS, stateful=True) as made:
        yield made


async def said(executor: SandboxCodeExecutor, code: str, language: str = "python") -> str:
    return (await executor.execute_code_blocks([CodeBlock(code, language)])).output


async def test_code_finds_what_earlier_code_has_left(executor: SandboxCodeExecutor) -> None:
    assert await said(executor, "import math\nx = 3\nopen('f', 'w').write('1')") == "1\n"
    assert await said(executor, "x + math.floor(1.5)") == "4\n"
    assert await said(executor, "cat f; echo", "sh") == "1\n"
    assert executor.files == {"f": b"1"}
    failed = await executor.execute_code_blocks([CodeBlock("def f():\n  1 / 0\nf()", "python")])
    assert failed.exit_code == 1
    assert failed.output.endswith("ZeroDivisionError: division by zero\n")
    assert "kernel" not in failed.output
    assert (await executor.execute_code_blocks([CodeBlock("exit(3)", "python")])).exit_code == 3
    assert await said(executor, "x") == "3\n"


async def test_sessions_do_not_see_each_other(executor: SandboxCodeExecutor) -> None:
    blocks = [CodeBlock("x = 1", "python")]
    await executor.execute(blocks, session="one")

    other = await executor.execute([CodeBlock("x", "python")], session="two")

    assert "NameError" in other.result.output


@pytest.mark.parametrize(
    ("code", "exit_code"), [("import os; os._exit(5)", 5), ("while True: pass", 124)]
)
async def test_a_session_whose_process_ends_starts_anew_with_a_note(
    code: str, exit_code: int, executor: SandboxCodeExecutor
) -> None:
    executor.limits = replace(LIMITS, timeout=2)
    await said(executor, "x = 1")

    ended = await executor.execute_code_blocks([CodeBlock(code, "python")])

    assert ended.exit_code == exit_code
    assert "The variables and imports of the session are lost" in ended.output
    assert "NameError" in await said(executor, "x")


async def test_nothing_runs_between_two_executions(executor: SandboxCodeExecutor) -> None:
    name = f"93.{os.getpid()}"

    await said(executor, f"import subprocess; p = subprocess.Popen(['sleep', '{name}'])")

    async with asyncio.timeout(10):
        while _state_of(f"sleep\0{name}") != "T":  # noqa: ASYNC110 - no process gives notice
            await asyncio.sleep(0)
    assert await said(executor, "p.kill(); p.wait()") == "-9\n"


def _state_of(command: str) -> str:
    """The state of the process with that command line; `T` is stopped."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if path.read_bytes().startswith(command.encode()):
                return (path.parent / "stat").read_text(encoding="ascii").rpartition(") ")[2][0]
    return ""


async def test_a_session_that_is_not_used_is_lost_with_an_error_once() -> None:
    bubblewrap()
    kept = Sessions(LIMITS, python=None, idle=0)
    await kept.execute("k", [CodeBlock("x = 1", "python")], {})
    for _ in range(3):  # the timer
        await asyncio.sleep(0)

    with pytest.raises(SessionLost, match="the next execution starts a new one"):
        await kept.execute("k", [CodeBlock("x", "python")], {})
    reply = await kept.execute("k", [CodeBlock("1 + 1", "python")], {})

    assert reply.results[0].output == "2\n"
    await kept.close()


async def test_the_session_that_was_not_used_for_longest_ends_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bubblewrap()
    monkeypatch.setattr(sessions, "_MOST", 1)
    kept = Sessions(LIMITS, python=None, idle=60)
    await kept.execute("a", [], {})
    await kept.execute("b", [], {})

    with pytest.raises(SessionLost):
        await kept.execute("a", [], {})
    await kept.close()
