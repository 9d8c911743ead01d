"""Many runs at once, and the count of their results."""

import asyncio
import itertools
from dataclasses import dataclass, field
from datetime import timedelta

from tests.support.audit import claims_of, model_calls_of, violations_of
from tests.support.deployment import TENANT, Deployment

from teamrun.core.refs import RunRef
from teamrun.errors import StorageError

__all__ = ["Load", "Tally"]

_tokens = itertools.count(1)


@dataclass
class Tally:
    """The results of some runs."""

    runs: int = 0
    unfinished: list[str] = field(default_factory=list[str])
    """Runs that did not end `completed`, with their state."""
    violations: list[str] = field(default_factory=list[str])
    """Of the invariants of their logs."""
    extra_calls: int = 0
    """Calls of the model that were begun and are not in a log."""
    doubled: int = 0
    """Lines too many in the ledger."""
    missing: int = 0
    """Lines that a run reports as written and that are not in the ledger."""
    unknown: int = 0
    """Writes that their run reports as unknown."""
    claims: int = 0
    took_s: list[float] = field(default_factory=list[float])
    """From acceptance to end, sorted."""

    def line(self, name: str) -> str:
        """One line of a table."""
        p50, p95 = (self.took_s[int((len(self.took_s) - 1) * part)] for part in (0.5, 0.95))
        return (
            f"{name:24} {self.runs:6} runs, {len(self.unfinished)} lost, "
            f"{len(self.violations)} violations, {self.doubled} writes doubled, "
            f"{self.unknown} unknown, {self.extra_calls} calls paid again, "
            f"{self.claims - self.runs} taken over, p50 {p50:.1f} s, p95 {p95:.1f} s"
        )

    def check(self) -> None:
        """Assert the guarantees that hold with every fault."""
        assert self.unfinished == []
        assert self.violations == [], self.violations
        assert (self.doubled, self.missing) == (0, 0)


class Load:
    """Runs of one deployment, as they are submitted."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self.refs: dict[str, RunRef] = {}
        """By token."""

    async def submit(self, count: int, *, over_s: float = 0, team: str = "office") -> None:
        """Accept runs, evenly over that time."""
        for _ in range(count):
            token = f"token-{next(_tokens)}"
            self.refs[token] = await self._deployment.submit(token, team=team)
            await asyncio.sleep(over_s / count)

    async def submit_http(self) -> int:
        """Send one request to the API, without a second try; the status."""
        token = f"token-{next(_tokens)}"
        body = {"team": "office", "input": f"Please book {token}."}
        status, run = await self._deployment.post("/v1/runs", body, key=token)
        if status == 202:
            self.refs[token] = RunRef(TENANT, run["id"])
        return status

    async def tally(self) -> Tally:
        """Count, after all work has ended."""
        tally = Tally(runs=len(self.refs))
        for token, ref in self.refs.items():
            await self._count(token, ref, tally)
        tally.took_s.sort()
        return tally

    async def _count(self, token: str, ref: RunRef, tally: Tally) -> None:
        deployment = self._deployment
        try:
            entries = await deployment.entries(ref)
        except StorageError as error:
            tally.violations.append(str(error))
            return
        run = await deployment.service.get(TENANT, ref.run_id)
        if run.status != "completed":
            tally.unfinished.append(f"{ref}: {run.status} {run.stop_code} {run.stop_reason}")
        tally.violations += [f"{ref}: {found}" for found in violations_of(entries)]
        tally.extra_calls += deployment.model.by_token[token] - model_calls_of(entries)
        lines, unknown = deployment.lines_of(token), len(run.unknown_outcomes)
        tally.doubled += max(lines - 1, 0)
        tally.missing += lines + unknown == 0
        tally.unknown += unknown
        tally.claims += claims_of(entries)
        tally.took_s.append((entries[-1].at - entries[0].at) / timedelta(seconds=1))
