"""Samples: each is taken in a separate process, and those of peers alternate with ours.

So what one leaves behind does not weigh on the next, and a machine that slows down slows all alike.
"""

import json
import os
import re
import statistics
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

__all__ = [
    "Figure",
    "Figures",
    "NotMeasured",
    "Subject",
    "instructions",
    "instructions_of_start",
    "measure",
]

ROOT = Path(__file__).parents[2]
_WITHIN_S = 240.0

# The peak is read inside: `ru_maxrss` begins with that of the parent process.
_START = """
import importlib, sys
sys.path[:0] = sys.argv[2:]
importlib.import_module(sys.argv[1])
with open("/proc/self/status", encoding="ascii") as status:
    print("\\n" + next(line.split()[1] for line in status if line.startswith("VmHWM:")))
"""


class NotMeasured(Exception):
    """A process failed; the text is the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Something to be measured."""

    name: str
    python: Path
    module: str
    work: str | None = None
    """The arguments of the module; None if it is only started."""
    parameters: Mapping[str, object] = field(default_factory=dict[str, object])
    repeats: int = 5
    path: Sequence[Path] = ()
    """If given, nothing else can be imported but the standard library."""
    environ: dict[str, str] = field(default_factory=dict[str, str])
    """Further variables of the environment."""


@dataclass(frozen=True, slots=True)
class Figure:
    """The summary of several samples."""

    median: float
    least: float
    most: float
    count: int


Figures = Mapping[str, Figure]
"""The figures of one subject, by name."""


def measure(subjects: Sequence[Subject]) -> dict[str, Figures]:
    """The figures of each subject by its name; the subjects take turns.

    Raises:
        NotMeasured: A process failed, or took too long.
    """
    samples: dict[str, list[dict[str, float]]] = {subject.name: [] for subject in subjects}
    for place in range(max(subject.repeats for subject in subjects)):
        for subject in subjects if place % 2 == 0 else reversed(subjects):
            if place < subject.repeats:
                samples[subject.name].append(_sample(subject))
    return {name: _summed_up(taken) for name, taken in samples.items()}


def _summed_up(samples: list[dict[str, float]]) -> Figures:
    figures: dict[str, Figure] = {}
    for name in samples[0]:
        values = [sample[name] for sample in samples]
        figures[name] = Figure(statistics.median(values), min(values), max(values), len(values))
    return figures


def instructions(subject: Subject, *, units: str, least: int, most: int) -> float:
    """Thousands of instructions per unit of work, counted by valgrind.

    The count of two sizes of the work is subtracted, which leaves out the start of the process. The
    result depends on the code alone, and not on what else the machine does.

    Args:
        subject: The work; its parameters lack the number of units.
        units: The parameter with that number.
        least: The smaller number of units.
        most: The larger one.

    Raises:
        NotMeasured: A process failed, or took too long.
    """
    few, many = (
        _counted(replace(subject, parameters={**subject.parameters, units: size}))
        for size in (least, most)
    )
    return (many - few) / (most - least) / 1e3


def instructions_of_start(subject: Subject) -> float:
    """Millions of instructions of a process that is only started.

    Raises:
        NotMeasured: A process failed, or took too long.
    """
    return _counted(subject) / 1e6


def _counted(subject: Subject) -> int:
    tool = ["valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]
    try:
        done = subprocess.run(
            tool + _command(subject),
            cwd=ROOT,
            env=_environ() | {"PYTHONHASHSEED": "0"},
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=_WITHIN_S,
            check=True,
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise NotMeasured(f"{subject.name} was not counted: {error}") from error
    found = re.search(r"I\s+refs:\s+([\d,]+)", done.stderr)
    if found is None:
        raise NotMeasured(f"{subject.name} was not counted: {done.stderr[-200:]}")
    return int(found[1].replace(",", ""))


def _command(subject: Subject) -> list[str]:
    if subject.work is None:
        alone = ["-I", "-S"] if subject.path else []
        given = [subject.module, *map(str, subject.path)]
        return [str(subject.python), *alone, "-c", _START, *given]
    parameters = json.dumps(dict(subject.parameters))
    return [str(subject.python), "-m", subject.module, subject.work, parameters]


def _sample(subject: Subject) -> dict[str, float]:
    command = _command(subject)
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=_environ() | subject.environ,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    ) as process:
        assert process.stdout is not None  # a pipe
        expired = threading.Timer(_WITHIN_S, process.kill)
        expired.start()
        output = process.stdout.read()
        # Not communicate: this returns what this process alone has used.
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        is_late = expired.finished.is_set()
        expired.cancel()
    if is_late:
        raise NotMeasured(f"{subject.name} took longer than {_WITHIN_S:g} s.")
    if process.returncode:
        raise NotMeasured(f"{subject.name} ended with {process.returncode}: {' '.join(command)}")
    if subject.work is not None:
        return json.loads(output)
    return {
        "cpu_ms": (used.ru_utime + used.ru_stime) * 1e3,
        "rss_mb": float(output.split()[-1]) / 1024,
    }


def _environ() -> dict[str, str]:
    """Ours without what would make a start slower than a user's, and without our variables."""
    unwanted = ("PYTHONDONTWRITEBYTECODE", "PYTHONPROFILEIMPORTTIME", "PYTHONDEVMODE")
    environ = {
        name: value
        for name, value in os.environ.items()
        if name not in unwanted and not name.startswith(("TEAMRUN_", "OPENAI_", "LANGSMITH_"))
    }
    # The sources, for environments without the project.
    return environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "shared"), str(ROOT)])}
