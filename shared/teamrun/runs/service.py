"""What the HTTP API and the command line do with runs: accept, read, follow, cancel.

Everything here works on the log; `live` and `dispatcher` only make it quick.
"""

from collections.abc import AsyncGenerator, Mapping
from datetime import timedelta
from typing import NamedTuple

from teamrun.components.registry import Registry
from teamrun.dispatch.base import Dispatcher
from teamrun.live.base import Live
from teamrun.runs.entries import ArtifactRecord
from teamrun.runs.public import Delta, Event, EventPage, Run, RunPage, RunResult
from teamrun.runs.spec import RunRequest
from teamrun.storage.base import ObjectStore

__all__ = ["RunFilter", "RunService", "Submitted"]


class Submitted(NamedTuple):
    """An accepted run."""

    run: Run
    replayed: bool
    """The same Idempotency-Key had been used for it before."""


class RunFilter(NamedTuple):
    """Which runs a list shows."""

    status: str | None = None
    team: str | None = None
    tag: str | None = None
    metadata: Mapping[str, str] = {}


class RunService:
    """Runs of all tenants; every method takes the tenant, and none reads another's."""

    def __init__(
        self, *, store: ObjectStore, live: Live, dispatcher: Dispatcher, registry: Registry
    ) -> None: ...

    async def submit(
        self, tenant: str, request: RunRequest, *, idempotency_key: str | None = None
    ) -> Submitted:
        """Accept a run: durable when this returns.

        Raises:
            DefinitionError: Unknown team, or a definition that does not hold; has `pointer`.
            IdempotencyConflict: The key was used with another request.
            Unavailable: Storage does not answer; nothing was accepted.
        """
        raise NotImplementedError

    async def get(self, tenant: str, run_id: str) -> Run:
        """The run as its log says now.

        Raises:
            RunNotFound: There is no such run of this tenant.
        """
        raise NotImplementedError

    async def wait(
        self, tenant: str, run_id: str, *, timeout: timedelta, revision: int | None = None
    ) -> Run:
        """The run, as soon as its revision differs from `revision` or (None) it has ended; at `timeout`
        as it is then."""
        raise NotImplementedError

    async def list(
        self, tenant: str, where: RunFilter, *, limit: int = 20, after: str | None = None
    ) -> RunPage:
        """A page of runs, newest first.

        Raises:
            UsageError: `after` is no cursor.
        """
        raise NotImplementedError

    async def events(
        self,
        tenant: str,
        run_id: str,
        *,
        after: int = 0,
        limit: int = 100,
        types: frozenset[str] | None = None,
    ) -> EventPage:
        """Logged events with a `seq` greater than `after`."""
        raise NotImplementedError

    def follow(
        self, tenant: str, run_id: str, *, after: int = 0, deltas: bool = True
    ) -> AsyncGenerator[Event | Delta, None]:
        """Events after `after` as they become durable, to the last; deltas between them."""
        raise NotImplementedError

    async def result(self, tenant: str, run_id: str) -> RunResult:
        """The result of an ended run.

        Raises:
            RunNotFinished: It has not ended.
        """
        raise NotImplementedError

    async def artifacts(self, tenant: str, run_id: str) -> list[ArtifactRecord]:
        """Every version of every file that the run has left so far."""
        raise NotImplementedError

    async def artifact(
        self, tenant: str, run_id: str, name: str, *, version: int | None = None
    ) -> tuple[ArtifactRecord, bytes]:
        """One file, the newest version unless said otherwise.

        Raises:
            ArtifactNotFound: The run has left no such file.
        """
        raise NotImplementedError

    async def cancel(self, tenant: str, run_id: str, *, reason: str | None = None) -> Run:
        """Ask for the run's end; from here on it ends `cancelled`. Repeating it changes nothing.

        Raises:
            RunEnded: It has ended otherwise.
        """
        raise NotImplementedError
