"""With real processes, because the behaviour of the operating system matters."""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from teamrun.cli.serving import supervisor
from teamrun.cli.serving.supervisor import Program, Supervisor

WAIT_S = 20


def program(code: str, *arguments: object, name: str = "p") -> Program:
    argv = (sys.executable, "-c", code, *(str(argument) for argument in arguments))
    return Program(name=name, argv=argv, environ=os.environ)


async def supervised(
    work: Callable[[Supervisor], Awaitable[None]], *, grace_s: float = WAIT_S
) -> None:
    supervisor = Supervisor(grace_s=grace_s)
    async with asyncio.timeout(2 * WAIT_S):
        await work(supervisor)


APPEND_PID = """
import os, sys, time
with open(sys.argv[1], "a", encoding="ascii") as file:
    file.write(f"{os.getpid()}\\n")
"""

LIVE = f"{APPEND_PID}sys.stdin.read()\n"


def pids(path: Path) -> list[int]:
    return [int(line) for line in path.read_text(encoding="ascii").split()] if path.exists() else []


async def test_a_child_that_is_killed_is_started_again(tmp_path: Path) -> None:
    path = tmp_path / "pids"

    async def work(supervisor: Supervisor) -> None:
        supervisor.keep(program(LIVE, path))
        assert await supervisor.until(lambda: len(pids(path)) == 1)
        os.kill(pids(path)[0], signal.SIGKILL)
        assert await supervisor.until(lambda: len(pids(path)) == 2)
        await supervisor.stop("p")

    await supervised(work)

    assert not any(lives(pid) for pid in pids(path))


async def test_too_many_deaths_end_the_whole_with_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "BACKOFF_S", [0] * len(supervisor.BACKOFF_S))
    path = tmp_path / "pids"

    async def work(supervisor: Supervisor) -> None:
        supervisor.keep(program(APPEND_PID, path))
        assert await supervisor.wait() == 1
        await supervisor.stop("p")

    await supervised(work)

    assert len(pids(path)) == 5


async def test_a_child_with_invalid_settings_ends_the_service_with_2() -> None:
    async def work(supervisor: Supervisor) -> None:
        supervisor.keep(program("raise SystemExit(2)"))
        assert await supervisor.wait() == 2
        await supervisor.stop("p")

    await supervised(work)


async def test_a_child_that_ignores_sigterm_is_killed_after_the_grace_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "pids"
    deaf = f"import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n{LIVE}"

    async def work(supervisor: Supervisor) -> None:
        supervisor.keep(program(deaf, path))
        assert await supervisor.until(lambda: len(pids(path)) == 1)
        await supervisor.stop("p")

    await supervised(work, grace_s=0.1)

    assert not lives(pids(path)[0])
    assert [vars(record)["action"] for record in caplog.records] == ["serve.child_killed"]


async def test_the_end_interrupts_waiting() -> None:
    async def work(supervisor: Supervisor) -> None:
        supervisor.end(0)
        assert not await supervisor.until(lambda: False)
        assert await supervisor.wait() == 0

    await supervised(work)


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
