"""The Prometheus text format, version 0.0.4: counters and gauges as lines of text.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

__all__ = ["CONTENT_TYPE", "MetricLines", "head", "sample"]

MetricLines: TypeAlias = Callable[[], Iterator[str]]
"""Returns the current lines of some metrics."""

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def head(name: str, kind: str, text: str) -> Iterator[str]:
    """The two lines that introduce a metric; `kind` is `counter`, `gauge` or `histogram`."""
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} {kind}"


def sample(name: str, value: float | str, labels: Mapping[str, str] | None = None) -> str:
    """One line: a metric with its labels, and its value."""
    if not labels:
        return f"{name} {value}"
    pairs = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
    return f"{name}{{{pairs}}} {value}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
