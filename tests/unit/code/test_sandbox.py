"""The sandbox for code: what it executes, what it keeps, and what ends it."""

import asyncio
import contextlib
import os
import select
import signal
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
from tests.support.services import bubblewrap

from teamrun.code.sandbox import machine
from teamrun.code.sandbox.executor import SandboxCodeExecutor
from teamrun.code.sandbox.limits import SandboxLimits
from teamrun.code.sandbox.seccomp import MACHINES, seccomp_filter
from teamrun.core import CancellationToken
from teamrun.errors import SandboxUnavailable
from teamrun.messages.code import CodeBlock, CodeResult

_LIMITS: Final = SandboxLimits(timeout=20, memory_mb=128, processes=8, work_mb=4)


async def run(
    *blocks: tuple[str, str], limits: SandboxLimits = _LIMITS
) -> tuple[CodeResult, dict[str, bytes]]:
    bubblewrap()
    executor = SandboxCodeExecutor(limits)
    result = await executor.execute_code_blocks([CodeBlock(code, lang) for lang, code in blocks])
    return result, executor.files


async def test_blocks_run_one_after_the_other_until_one_fails() -> None:
    result, _ = await run(
        ("Python", "import os; print('one', os.getuid())"),
        ("sh", "echo two >&2; echo three"),
        ("bash", "[[ 1 == 1 ]] && exit 3"),
        ("python", "print('not reached')"),
    )

    assert result == CodeResult(3, f"one {machine.NOBODY}\ntwo\nthree\n")


async def test_what_cannot_be_executed_is_a_failure() -> None:
    assert (await run(("cobol", "x")))[0] == CodeResult(1, "\nunknown language cobol")
    outside = await run(("python", "# filename: ../x.py\nprint(1)"))
    assert outside[0] == CodeResult(1, "Filename is not in the workspace")


async def test_regular_files_in_the_work_folder_are_kept_and_nothing_else_is() -> None:
    _, files = await run(
        (
            "python",
            "# filename: made/by.py\n"
            "import os\n"
            "open('a.txt', 'w').write('a')\n"
            "os.symlink('/usr/bin/env', 'link')\n"
            "os.symlink('/usr', 'folder')\n"
            "os.link('a.txt', 'hard')\n"
            "os.mkfifo('pipe')\n"
            "open('x' * 255, 'w').write('long')\n"
            "open(b'\\xff', 'w').write('no text')\n"
            "open('.hidden', 'w').write('h')\n"
            "os.makedirs('/'.join('d' * 20))\n"
            "open('/'.join('d' * 20) + '/deep', 'w').write('d')\n"
            "open('/tmp/elsewhere', 'w').write('t')\n",
        )
    )

    assert files.keys() == {"a.txt", "hard", "x" * 255, "\udcff", "made/by.py"}
    assert (files["a.txt"], files["hard"]) == (b"a", b"a")


async def test_the_next_call_has_the_files_and_the_driver_uses_none_of_them() -> None:
    bubblewrap()
    executor = SandboxCodeExecutor(_LIMITS)
    names = ("driver.py", "json.py", "sitecustomize.py", "usercustomize.py", "os.py")
    write = f"for name in {names}: open(name, 'w').write('raise SystemExit(9)')"

    await executor.execute_code_blocks([CodeBlock(write, "python")])
    result = await executor.execute_code_blocks([CodeBlock("cat json.py", "sh")])
    await executor.restart()

    assert result == CodeResult(0, "raise SystemExit(9)")
    assert executor.files == {}


async def test_files_beyond_the_limits_are_left_out_and_counted() -> None:
    write = "for n in range(5): open(f'{n}', 'wb').write(bytes(300_000))"

    result, files = await run(("python", write), limits=replace(_LIMITS, max_files=2))
    by_size, fewer = await run(("python", write), limits=replace(_LIMITS, max_file_mb=1))

    assert [*files] == ["0", "1"]
    assert result.output == "\n[3 files were not kept: too many or too large]"
    assert ([*fewer], by_size.exit_code) == (["0", "1", "2"], 0)


async def test_output_beyond_the_limit_is_left_out() -> None:
    limits = replace(_LIMITS, output_bytes=10)

    result, _ = await run(("sh", "head -c 3000000 /dev/zero | tr '\\0' x"), limits=limits)

    assert result == CodeResult(0, "x" * 10 + "\n[2999990 bytes left out]")


async def test_the_time_and_the_cpu_time_of_code_are_limited() -> None:
    asleep, files = await run(
        ("sh", "echo a > b; echo started; sleep 999"), limits=replace(_LIMITS, timeout=1)
    )
    busy, _ = await run(("sh", "while :; do :; done"), limits=replace(_LIMITS, cpu_seconds=1))

    assert asleep == CodeResult(124, "started\n\nTimeout")
    assert files == {"b": b"a\n"}
    assert busy.exit_code in {128 + signal.SIGKILL, 128 + signal.SIGXCPU}


async def test_memory_of_many_processes_together_is_limited() -> None:
    many = (
        "import os, signal\n"
        "for _ in range(5):\n"
        "    if not os.fork():\n"
        "        held = bytearray(os.urandom(4096)) * (15 << 10)\n"  # 60 MiB, each page written
        "        signal.pause()\n"
        "os.wait()\n"
    )

    result, _ = await run(("python", many))

    assert result == CodeResult(137, "\nMore than 128 MiB of memory were used")


async def test_the_number_of_files_is_limited() -> None:
    result, _ = await run(("python", "n = 0\nwhile True:\n    n += 1; open(f'{n}', 'w').close()"))

    assert result.exit_code == 1
    assert result.output.startswith("\nMore than 10000 files were created\n[")


def _with(token: str) -> list[int]:
    """The processes of this machine with a text in their command line."""
    found: list[int] = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if token.encode() in path.read_bytes():
                found.append(int(path.parent.name))
    return [pid for pid in found if pid != os.getpid()]


async def test_processes_that_outlive_their_block_are_ended_with_it() -> None:
    leave = "(setsid sh -c 'sleep 98.{} &' &) ; sleep 97.{} & nohup sleep 96.{} & echo done"
    token = str(os.getpid())

    result, _ = await run(
        ("sh", leave.replace("{}", token)), ("sh", f"sleep 0; kill -9 -1; echo {token}")
    )

    assert result.output.startswith("done\n")
    assert _with(f".{token}") == []


async def _started(token: str) -> None:
    while not _with(token):  # noqa: ASYNC110 - no process gives notice
        await asyncio.sleep(0)


async def test_cancelling_ends_all_processes() -> None:
    bubblewrap()
    cancellation, name = CancellationToken(), f"95.{os.getpid()}"
    code = [CodeBlock(f"sleep {name} & setsid sleep {name}", "sh")]
    execution = SandboxCodeExecutor(_LIMITS).execute_code_blocks(code, cancellation)
    async with asyncio.timeout(30):
        task = asyncio.ensure_future(execution)
        await _started(f"sleep\0{name}")
        cancellation.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    assert _with(f"sleep\0{name}") == []


_WORKER = """
import asyncio, sys
from teamrun.code.sandbox.executor import SandboxCodeExecutor
from teamrun.messages.code import CodeBlock
blocks = [CodeBlock(f"sleep {sys.argv[1]}", "sh")]
asyncio.run(SandboxCodeExecutor().execute_code_blocks(blocks))
"""


async def test_a_worker_that_is_killed_takes_the_sandbox_along() -> None:
    bubblewrap()
    name = f"94.{os.getpid()}"
    worker = await asyncio.create_subprocess_exec(sys.executable, "-c", _WORKER, name)
    try:
        async with asyncio.timeout(30):
            await _started(f"sleep\0{name}")
        code = os.pidfd_open(_with(f"sleep\0{name}")[0])
    finally:
        worker.kill()
        await worker.wait()

    assert select.select([code], [], [], 30)[0], "the code still runs"
    os.close(code)


@pytest.mark.parametrize("name", ["timeout", "memory_mb", "processes", "max_files"])
def test_a_limit_is_a_positive_whole_number(name: str) -> None:
    for value in (0, -1, True, 1.5):
        with pytest.raises(ValueError, match=f"'{name}' must be a whole number of at least 1"):
            SandboxLimits(**{name: value})  # pyright: ignore[reportArgumentType] - that is refused


def test_each_machine_has_a_filter_of_its_own() -> None:
    filters = {seccomp_filter(name) for name in MACHINES}

    assert len(filters) == 2
    assert all(len(each) % 8 == 0 and len(each) // 8 < 4096 for each in filters)


@pytest.fixture
def open_path() -> Iterator[Path]:
    """A folder that the user of the sandbox can read; `tmp_path` is for this user alone."""
    with tempfile.TemporaryDirectory(prefix="teamrun-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def _program(folder: Path, text: str) -> None:
    (folder / "bwrap").write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    (folder / "bwrap").chmod(0o755)


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        (None, "no 'bwrap' on PATH. Install it: 'apt-get install bubblewrap'"),
        ("echo bubblewrap 0.6.1", "0.7 or newer; .* is bubblewrap 0.6.1"),
        (
            '[ "$1" = --version ] && echo bubblewrap 0.8.0 && exit'
            "\necho 'bwrap: No permissions to create new namespace' >&2; exit 1",
            "No permissions to create new namespace It needs user namespaces",
        ),
        (
            '[ "$1" = --version ] && echo bubblewrap 0.8.0 && /bin/rm "$0"',
            "bwrap.* It needs user namespaces",
        ),
    ],
    ids=["missing", "old", "no_namespaces", "not_executable"],
)
async def test_a_machine_without_a_sandbox_is_refused(
    program: str | None, expected: str, open_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(open_path))
    machine.bubblewrap.cache_clear()
    if program is not None:
        _program(open_path, program)
    try:
        for execution in (
            SandboxCodeExecutor().start(),
            SandboxCodeExecutor().execute_code_blocks([CodeBlock("print(1)", "python")]),
        ):
            with pytest.raises(SandboxUnavailable, match=expected) as raised:
                await execution
            assert raised.value.code == "sandbox_unavailable"
    finally:
        machine.bubblewrap.cache_clear()


async def test_a_python_that_does_not_start_is_refused(tmp_path: Path) -> None:
    bubblewrap()

    with pytest.raises(SandboxUnavailable, match="Name another one with 'python'"):
        await SandboxCodeExecutor(python=str(tmp_path / "python")).start()
