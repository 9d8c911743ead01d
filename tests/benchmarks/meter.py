"""Measurements inside the measured process.

Standard library only: the same code runs in the environments of the peers.
"""

import asyncio
import gc
import json
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Generator, Iterable
from contextlib import contextmanager
from pathlib import Path

__all__ = [
    "TASK",
    "Meter",
    "Work",
    "cpu_s_of",
    "gathered",
    "measured",
    "memory_kb",
    "scratch",
    "text_of",
]

Work = Callable[..., Awaitable[dict[str, float]]]
"""A piece of work of a measured process; returns its figures by name."""

TASK = "Name a word, then another one."
_WORDS = "word " * 38  # with the number before it: 200 characters


def text_of(number: int) -> str:
    """A new reply of 200 characters, as a model's would be."""
    return f"{number:09d} {_WORDS}"


class Meter:
    """CPU time of this process (user and system, all threads) and wall time, as a context."""

    def __enter__(self) -> "Meter":
        gc.collect()
        self._wall, self._cpu = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.cpu_s = time.process_time() - self._cpu
        self.wall_s = time.perf_counter() - self._wall


def memory_kb(pid: int | None = None) -> float:
    """Memory of a process in KB: its proportional set size, from the kernel (Linux only)."""
    path = Path("/proc", "self" if pid is None else str(pid), "smaps_rollup")
    lines = path.read_text(encoding="ascii").splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith("Pss:")))


def cpu_s_of(pid: int) -> float:
    """CPU time of another process: user and system, all threads (Linux only)."""
    fields = Path("/proc", str(pid), "stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def scratch() -> Generator[Path]:
    """A folder for the time of the block; it is in memory if the machine has a memory disk."""
    memory = Path("/dev/shm")
    place = memory if memory.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="teamrun-bench-", dir=place) as folder:
        yield Path(folder)


async def gathered(works: Iterable[Awaitable[object]]) -> int:
    """Do everything at once; how much of it was done without an exception."""
    results = await asyncio.gather(*works, return_exceptions=True)
    failures = [result for result in results if isinstance(result, BaseException)]
    if failures:
        sys.stderr.write(f"{len(failures)} failed, the first with {failures[0]!r}\n")
    return len(results) - len(failures)


def measured(works: dict[str, Work]) -> None:
    """Run the measurement that the command line names; print the figures as JSON."""
    name, parameters = sys.argv[1], json.loads(sys.argv[2])

    async def work() -> dict[str, float]:
        return await works[name](**parameters)

    print(json.dumps(asyncio.run(work())))
