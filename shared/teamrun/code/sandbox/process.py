"""One sandbox: its process, the jobs that go into it, and the watch over its memory.

What comes out of a sandbox is data of an untrusted program: it is read up to fixed sizes and
checked.
"""

import asyncio
import contextlib
import json
import os
import signal
import struct
from asyncio.subprocess import PIPE, Process
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from teamrun.code.sandbox.limits import SandboxLimits
from teamrun.code.sandbox.machine import command, identity, interpreter, seccomp_file, unavailable
from teamrun.messages.code import CodeBlock

__all__ = ["BlockResult", "Reply", "SandboxProcess"]

_GRACE: Final = 10.0
"""Seconds beyond the time of the code for the driver's own work on a busy machine."""
_WATCH: Final = 0.1
"""Seconds between two looks at the memory."""
_LONGEST_PATH: Final = 4096


class BlockResult(NamedTuple):
    """The end of one block of code."""

    exit_code: int
    output: str
    left_out: int
    """Bytes of its output that were not kept."""


class Reply(NamedTuple):
    """What a job has come to."""

    results: Sequence[BlockResult]
    files: Mapping[str, bytes]
    """The files that were written, by their paths in the work folder."""
    left_out: int = 0
    """How many files were not kept because of the limits."""


class SandboxProcess:
    """A sandbox that runs. `close` ends all its processes; so does the end of this process."""

    def __init__(self, process: Process, limits: SandboxLimits) -> None:
        self._process = process
        self._limits = limits
        self._over = False

    @classmethod
    async def start(
        cls, limits: SandboxLimits, *, python: str | None = None, stateful: bool = False
    ) -> Self:
        """Start a sandbox.

        Args:
            limits: The limits of the code in it.
            python: The path of the Python to use; by default the system's.
            stateful: Whether Python code keeps what it leaves in memory for the next job.

        Raises:
            SandboxUnavailable: This machine has none.
        """
        who = identity()
        seccomp = seccomp_file()
        try:
            process = await asyncio.create_subprocess_exec(
                *command(interpreter(python), limits, seccomp=seccomp, stateful=stateful),
                stdin=PIPE,
                stdout=PIPE,
                stderr=PIPE,
                env={},
                cwd="/",
                start_new_session=True,
                pass_fds=(seccomp,),
                user=who.user,
                group=who.group,
                extra_groups=who.extra_groups,
            )
        except OSError as error:
            raise unavailable(str(error)) from error
        finally:
            os.close(seccomp)
        return cls(process, limits)

    @property
    def has_ended(self) -> bool:
        """Whether its processes have ended."""
        return self._process.returncode is not None

    async def execute(
        self, blocks: Sequence[CodeBlock], files: Mapping[str, bytes] | None = None
    ) -> Reply:
        """Execute blocks one after the other, until one fails.

        Args:
            blocks: The code.
            files: What is put into the work folder first, by path.

        Raises:
            SandboxUnavailable: It did not start.
        """
        given = files or {}
        job = {
            "files": [[path, len(data)] for path, data in given.items()],
            "blocks": [[block.language, block.code] for block in blocks],
        }
        seconds = (self._limits.timeout + 1) * max(1, len(blocks)) + _GRACE
        watch = asyncio.create_task(self._watch())
        try:
            async with asyncio.timeout(seconds):
                await self._send(job, given.values())
                return await self._reply()
        except TimeoutError:
            await self.close()
            return _ended(124, "\nTimeout")
        except (OSError, EOFError, ValueError, TypeError, LookupError) as error:
            if self._over:
                text = f"\nMore than {self._limits.memory_mb} MiB of memory were used"
                return _ended(137, text)
            said = await self._said()
            if blocks and not said.startswith("bwrap:"):
                return _ended(137, "\nThe sandbox ended before the code did")
            raise unavailable(said) from error
        finally:
            watch.cancel()

    async def close(self) -> None:
        """End all processes of the sandbox."""
        process = self._process
        # Process 1 first: bubblewrap waits for it, and the kernel ends all others before it.
        for pid in _children(process.pid) if process.returncode is None else ():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                break
        else:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()

    async def _send(self, job: Mapping[str, Any], contents: Iterable[bytes]) -> None:
        stdin = self._process.stdin
        assert stdin is not None
        text = json.dumps(job).encode()
        stdin.write(struct.pack(">I", len(text)) + text)
        for data in contents:
            stdin.write(data)
            await stdin.drain()
        await stdin.drain()

    async def _reply(self) -> Reply:
        stdout = self._process.stdout
        assert stdout is not None
        (size,) = struct.unpack(">I", await stdout.readexactly(4))
        # A byte of output may become six characters of JSON.
        most = self._limits.max_files * _LONGEST_PATH + self._limits.output_bytes + _LONGEST_PATH
        if size > 6 * most * 16:
            raise ValueError("The reply is too long.")
        reply = json.loads(await stdout.readexactly(size))
        results = [BlockResult(int(c), str(text), int(n)) for c, text, n in reply["results"]]
        files: dict[str, bytes] = {}
        left = self._limits.max_file_mb << 20
        for path, length in reply["files"][: self._limits.max_files]:
            if not 0 <= int(length) <= left:
                raise ValueError("The files are too long.")
            left -= int(length)
            files[str(path)] = await stdout.readexactly(int(length))
        return Reply(results, files, int(reply["left_out"]))

    async def _said(self) -> str:
        """What bubblewrap and the driver have written about their failure."""
        stderr = self._process.stderr
        assert stderr is not None
        await self.close()
        return (await stderr.read(2000)).decode("utf-8", "replace").strip()

    async def _watch(self) -> None:
        """End the sandbox if all its processes together use too much memory."""
        most = self._limits.memory_mb << 20
        first = True
        while True:
            pids = list(_descendants(self._process.pid))
            if first:
                for pid in pids:
                    _sacrifice(pid)
                first = False
            if sum(map(_memory, pids)) > most and sum(map(_own_memory, pids)) > most:
                self._over = True
                await self.close()
                return
            await asyncio.sleep(_WATCH)


def _ended(exit_code: int, text: str) -> Reply:
    return Reply([BlockResult(exit_code, text, 0)], {})


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):
                found += map(int, (thread / "children").read_text(encoding="ascii").split())
    return found


def _descendants(pid: int) -> Iterator[int]:
    for child in _children(pid):
        yield child
        yield from _descendants(child)


def _memory(pid: int) -> int:
    """Bytes that a process uses; memory that is shared after a fork is counted for each."""
    return _sum(f"/proc/{pid}/status", ("RssAnon:", "RssShmem:"))


def _own_memory(pid: int) -> int:
    """The same, with its part of the memory that it shares; this takes longer."""
    return _sum(f"/proc/{pid}/smaps_rollup", ("Pss_Anon:", "Pss_Shmem:"))


def _sum(path: str, names: tuple[str, ...]) -> int:
    with contextlib.suppress(OSError):
        lines = Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
        return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith(names))
    return 0


def _sacrifice(pid: int) -> None:
    """Let the kernel end this process first when the machine has no memory left."""
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/oom_score_adj").write_text("1000", encoding="ascii")
