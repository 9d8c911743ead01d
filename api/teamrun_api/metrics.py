"""Counters of this process in the Prometheus text format.

Written by hand, since four metrics do not justify a package: counters, one histogram, one gauge.
Labels are route templates and never identifiers, so the number of series is bounded.
"""

from collections import Counter
from collections.abc import Iterator

from teamrun.core.exposition import MetricLines, head, sample

__all__ = ["Metrics"]

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
    """The metrics of this process since its start.

    Args:
        version: Of the package.
        runs: The lines about the runs of this process.
    """

    def __init__(self, *, version: str, runs: MetricLines | None = None) -> None:
        self._version = version
        self._runs = runs
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
        yield from head("teamrun_build_info", "gauge", "The version that runs.")
        yield sample("teamrun_build_info", 1, {"version": self._version})
        name = "teamrun_http_requests_total"
        yield from head(name, "counter", "Requests answered.")
        for (method, route, status), count in sorted(self._requests.items()):
            labels = {"method": method, "route": route, "status": str(status)}
            yield sample(name, count, labels)
        yield from self._duration_lines()
        yield from head("teamrun_http_streams", "gauge", "Event streams that are open.")
        yield sample("teamrun_http_streams", self.streams)
        name = "teamrun_runs_accepted_total"
        yield from head(name, "counter", "Runs accepted.")
        for replayed in (False, True):
            yield sample(name, self._accepted[replayed], {"replayed": str(replayed).lower()})
        if self._runs is not None:
            yield from self._runs()

    def _duration_lines(self) -> Iterator[str]:
        name = "teamrun_http_request_duration_seconds"
        yield from head(name, "histogram", "Time until the answer began.")
        for (method, route), histogram in sorted(self._durations.items()):
            labels = {"method": method, "route": route}
            total = 0
            for bound, count in zip((*BUCKETS, "+Inf"), histogram.counts, strict=True):
                total += count
                yield sample(f"{name}_bucket", total, {**labels, "le": str(bound)})
            yield sample(f"{name}_sum", f"{histogram.sum:.6f}", labels)
            yield sample(f"{name}_count", total, labels)
