"""Counters of the runs of this process, from the entries that it writes.

Labels are codes and names that the operator chose (model profiles), never ids or user text, so the
number of time series is bounded.
"""

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal

from teamrun.core.exposition import head, sample
from teamrun.core.refs import RunRef
from teamrun.runs.log.entries import CallRecord, Claim, End, Entry, Step
from teamrun.runs.log.kinds import CALL_KINDS
from teamrun.runs.log.state import RunState

__all__ = ["RunMetrics"]


class RunMetrics:
    """Counters since this process started."""

    def __init__(self) -> None:
        self._ended: Counter[tuple[str, str]] = Counter()
        self._calls: Counter[tuple[str, str, str]] = Counter()
        """By the counter of the kind, model profile ("" without one), and outcome."""
        self._cost_usd: dict[str, Decimal] = {}
        self._claims = 0

    def appended(self, ref: RunRef, entry: Entry, state: RunState | None) -> None:
        """Count an entry that this process has written."""
        if state is None:  # it closed the log of a run that was never accepted
            return
        match entry.body:
            case Step(calls=calls):
                for call in calls:
                    self._count(call)
            case End(status=status, stop_code=code, calls=calls):
                for call in calls:
                    self._count(call)
                self._ended[status, code or ""] += 1
            case Claim():
                self._claims += 1
            case _:
                pass

    def _count(self, call: CallRecord) -> None:
        kind = CALL_KINDS[call.kind]
        if kind.counter is not None:
            outcome = "completed" if call.error is None else call.error.code
            profile = call.name if kind.is_by_profile else ""
            self._calls[kind.counter, profile, outcome] += 1
        if kind.is_by_profile and call.cost_usd is not None:
            self._cost_usd[call.name] = self._cost_usd.get(call.name, Decimal()) + call.cost_usd

    def lines(self) -> Iterator[str]:
        """The metrics in the Prometheus text format."""
        yield from head("teamrun_run_claims_total", "counter", "Runs taken up, again or first.")
        yield sample("teamrun_run_claims_total", self._claims)
        name = "teamrun_runs_ended_total"
        yield from head(name, "counter", "Runs ended by this process.")
        for (status, code), count in sorted(self._ended.items()):
            yield sample(name, count, {"status": status, "stop_code": code})
        for counter in dict.fromkeys(kind.counter for kind in CALL_KINDS.values() if kind.counter):
            name, subject = f"teamrun_{counter}_total", counter.replace("_", " ").capitalize()
            yield from head(name, "counter", f"{subject}: completed, or the code of the error.")
            for (counted, profile, outcome), count in sorted(self._calls.items()):
                if counted == counter:
                    labels = {"profile": profile} if profile else {}
                    yield sample(name, count, {**labels, "outcome": outcome})
        name = "teamrun_model_cost_usd_total"
        yield from head(name, "counter", "Cost of model calls whose price is known, in US dollars.")
        for profile, cost in sorted(self._cost_usd.items()):
            yield sample(name, f"{cost:f}", {"profile": profile})
