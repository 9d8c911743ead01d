"""Samples: each is taken in a separate process, and those of peers alternate with ours.

So what one leaves behind does not weigh on the next, and a machine that slows down slows all alike.
"""

import json
import os
import resource
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Figure", "Figures", "NotMeasured", "Subject", "measure"]

ROOT = Path(__file__).parents[2]
_WITHIN_S = 240.0


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


def _sample(subject: Subject) -> dict[str, float]:
    command = [str(subject.python), "-m", subject.module]
    if subject.work is not None:
        command += [subject.work, json.dumps(dict(subject.parameters))]
    with subprocess.Popen(
        command, cwd=ROOT, env=_environ(), stdout=subprocess.PIPE, text=True, encoding="utf-8"
    ) as process:
        before = _children_cpu_s()
        try:
            output, _ = process.communicate(timeout=_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            raise NotMeasured(f"{subject.name} took longer than {_WITHIN_S:g} s.") from None
        used_s = _children_cpu_s() - before
    if process.returncode:
        raise NotMeasured(f"{subject.name} ended with {process.returncode}: {' '.join(command)}")
    if subject.work is not None:
        return json.loads(output)
    return {"cpu_ms": used_s * 1e3}


def _children_cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


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
