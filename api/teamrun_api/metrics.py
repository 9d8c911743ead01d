"""Counters of this process in the Prometheus text format.

By hand, since four metrics do not carry a package: counters, one histogram, one gauge. Labels
hold route templates and never identifiers, so the number of series is bounded.
"""

from collections import Counter
from collections.abc import Iterator

__all__ = ["CONTENT_TYPE", "Metrics"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)
"""Upper bounds in seconds; the last finite one is the longest wait."""


class _Histogram:
    __slots__ = ("counts", "sum")

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        place = 0
        while place < len(BUCKETS) and value > BUCKETS[place]:
            place += 1
        self.counts[place] += 1
        self.sum += value


class Metrics:
    """What this process has done since it started."""

    def __init__(self, *, version: str) -> None:
        self._version = version
        self._requests: Counter[tuple[str, str, int]] = Counter()
        self._durations: dict[tuple[str, str], _Histogram] = {}
        self._accepted: Counter[bool] = Counter()
        self.streams = 0
        """Event streams that are open now."""

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request; `seconds` is the time until its answer began."""
        self._requests[method, route, status] += 1
        histogram = self._durations.get((method, route))
        if histogram is None:
            histogram = self._durations[method, route] = _Histogram()
        histogram.observe(seconds)

    def accepted(self, *, replayed: bool) -> None:
        """Count a run that was accepted, or found again by its Idempotency-Key."""
        self._accepted[replayed] += 1

    def render(self) -> str:
        """The text that Prometheus reads."""
        return "\n".join(self._lines()) + "\n"

    def _lines(self) -> Iterator[str]:
        yield from _head("teamrun_build_info", "gauge", "The version that runs.")
        yield f'teamrun_build_info{{version="{self._version}"}} 1'
        yield from _head("teamrun_http_requests_total", "counter", "Requests answered.")
        for (method, route, status), count in sorted(self._requests.items()):
            labels = f'method="{method}",route="{route}",status="{status}"'
            yield f"teamrun_http_requests_total{{{labels}}} {count}"
        yield from self._duration_lines()
        yield from _head("teamrun_http_streams", "gauge", "Event streams that are open.")
        yield f"teamrun_http_streams {self.streams}"
        yield from _head("teamrun_runs_accepted_total", "counter", "Runs accepted.")
        for replayed in (False, True):
            label = f'replayed="{str(replayed).lower()}"'
            yield f"teamrun_runs_accepted_total{{{label}}} {self._accepted[replayed]}"

    def _duration_lines(self) -> Iterator[str]:
        name = "teamrun_http_request_duration_seconds"
        yield from _head(name, "histogram", "Time until the answer began.")
        for (method, route), histogram in sorted(self._durations.items()):
            labels = f'method="{method}",route="{route}"'
            total = 0
            for bound, count in zip((*BUCKETS, "+Inf"), histogram.counts, strict=True):
                total += count
                yield f'{name}_bucket{{{labels},le="{bound}"}} {total}'
            yield f"{name}_sum{{{labels}}} {histogram.sum:.6f}"
            yield f"{name}_count{{{labels}}} {total}"


def _head(name: str, kind: str, text: str) -> Iterator[str]:
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} {kind}"
