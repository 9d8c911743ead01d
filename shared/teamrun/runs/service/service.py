"""The operations on runs of the HTTP API and the command line: accept, read, follow, cancel.

Everything here works on the log; `live` and `dispatcher` only make it faster.
"""

import contextlib
from collections.abc import AsyncGenerator, Sequence

import pydantic

from teamrun.components.catalog import Catalog, Teams
from teamrun.components.registry import Registry
from teamrun.core.clock import Clock
from teamrun.core.refs import RunRef
from teamrun.dispatch.base import Dispatcher
from teamrun.errors import ArtifactNotFound, NotFound, RunEnded, ThreadBusy, ThreadNotFound
from teamrun.live.base import Live
from teamrun.net.destinations import Destinations
from teamrun.runs.log.archive import DUTIES, Duty, conclude, write_result
from teamrun.runs.log.blobs import stream_blob
from teamrun.runs.log.entries import ArtifactRecord
from teamrun.runs.log.erasure import Erasure
from teamrun.runs.log.keys import result_key
from teamrun.runs.log.log import RunLog
from teamrun.runs.log.observers import Observers
from teamrun.runs.log.output import RunResult
from teamrun.runs.log.reader import not_found, run_ref
from teamrun.runs.log.spec import ThreadPart
from teamrun.runs.log.state import RunState
from teamrun.runs.log.status import TERMINAL
from teamrun.runs.service.acceptance import Submitted, Threads, WebhooksAt
from teamrun.runs.service.follow import RunFollower
from teamrun.runs.service.forks import Forks, not_finished
from teamrun.runs.service.listing import Order, RunFilter, RunList
from teamrun.runs.service.public import read_run
from teamrun.runs.service.requests import RunRequest
from teamrun.runs.service.resources import Run, RunPage
from teamrun.runs.service.signals import Signals
from teamrun.storage.base import ObjectStore

__all__ = ["RunService"]


class RunService(Forks, Signals, RunFollower):
    """The runs of all tenants; each method takes a tenant and only accesses its runs.

    All methods raise `RunNotFound` if the tenant has no such run, and `Unavailable` if storage does
    not respond; their descriptions name the other errors.
    """

    def __init__(
        self,
        *,
        store: ObjectStore,
        live: Live,
        dispatcher: Dispatcher,
        registry: Registry,
        catalog: Catalog | None = None,
        clock: Clock | None = None,
        duties: Sequence[Duty] = DUTIES,
        observers: Observers | None = None,
        destinations: Destinations | None = None,
        webhooks_at: WebhooksAt | None = None,
        threads: Threads | None = None,
    ) -> None:
        super().__init__(
            store=store,
            live=live,
            dispatcher=dispatcher,
            clock=clock,
            duties=duties,
            observers=observers,
            teams=Teams(registry, catalog),
            destinations=destinations,
            webhooks_at=webhooks_at,
            threads=threads,
        )
        self._list = RunList(store=store, reader=self._reader)
        self._erasure = Erasure(
            store=store,
            live=live,
            reader=self._reader,
            clock=self._clock,
            pre_erase=self._observers.pre_erase,
        )

    async def submit(
        self,
        tenant: str,
        request: RunRequest,
        *,
        idempotency_key: str | None = None,
        traceparent: str | None = None,
    ) -> Submitted:
        """Accept a run, and put it into its thread if it has one; see `Acceptance.submit`.

        Raises:
            ThreadBusy: The thread has a run that has not ended, and the request says `reject`.
        """
        submitted = await super().submit(
            tenant, request, idempotency_key=idempotency_key, traceparent=traceparent
        )
        if request.thread_id is not None and self._threads is not None:
            part = ThreadPart(thread_id=request.thread_id, on_busy=request.on_busy_thread)
            has_ended = submitted.run.status in TERMINAL  # the repeated request of an old run
            try:
                await self._threads.join(
                    RunRef(tenant, submitted.run.id), part, has_ended=has_ended
                )
            except (ThreadBusy, ThreadNotFound) as error:
                # Another run joined, or the thread was deleted, since the check.
                with contextlib.suppress(RunEnded):
                    await self.cancel(tenant, submitted.run.id, reason=error.message)
                raise
        return submitted

    async def get(self, tenant: str, run_id: str) -> Run:
        """The current state of a run."""
        return await read_run(self._reader, run_ref(tenant, run_id))

    async def result(self, tenant: str, run_id: str) -> RunResult:
        """The result of an ended run.

        Raises:
            RunNotFinished: The run has not ended.
        """
        ref = run_ref(tenant, run_id)
        state = await self._reader.state(ref)
        if state.end is None:
            raise not_finished(state)
        result = await self._stored_result(ref)
        if result is None:  # missing or damaged: it is derived from the log
            async with self._reader.unless_erased(ref):
                await self._derive(self._reader.log(ref), state)
            result = await self._stored_result(ref)
        if result is None:  # deleted in the meantime
            raise not_found(ref)
        return result

    async def _derive(self, log: RunLog, state: RunState) -> None:
        if state.spec.batch is None:
            await conclude(self._store, log, state, duties=self._duties)
        else:
            await write_result(self._store, log, state)

    async def _stored_result(self, ref: RunRef) -> RunResult | None:
        with contextlib.suppress(NotFound, pydantic.ValidationError):
            result = RunResult.model_validate_json(await self._store.get(result_key(ref)))
            return result if result.run_id == ref.run_id else None
        return None

    async def artifacts(self, tenant: str, run_id: str) -> list[ArtifactRecord]:
        """Every version of every artifact that the run has stored so far."""
        return (await self._reader.state(run_ref(tenant, run_id))).artifacts

    async def artifact(
        self, tenant: str, run_id: str, name: str, *, version: int | None = None
    ) -> tuple[ArtifactRecord, bytes]:
        """One artifact with all of its bytes; by default its newest version.

        Raises:
            ArtifactNotFound: The run has no such artifact.
            DamagedBlob: Its bytes are missing or damaged.
        """
        record = await self.artifact_record(tenant, run_id, name, version=version)
        async with contextlib.aclosing(await self.open_artifact(tenant, run_id, record)) as chunks:
            return record, b"".join([chunk async for chunk in chunks])

    async def open_artifact(
        self, tenant: str, run_id: str, record: ArtifactRecord
    ) -> AsyncGenerator[bytes, None]:
        """The bytes of an artifact in chunks, with flat memory; the first one has been read.

        Raises:
            RunNotFound: The run is being deleted.
            DamagedBlob: The bytes are missing or damaged. Later chunks raise it too: the last one
                is only returned if all bytes are right.
        """
        ref = run_ref(tenant, run_id)
        chunks = stream_blob(self._store, ref, record.sha256, size=record.size)
        async with self._reader.unless_erased(ref):
            first = await anext(chunks, b"")
        return _continued(first, chunks)

    async def artifact_record(
        self, tenant: str, run_id: str, name: str, *, version: int | None = None
    ) -> ArtifactRecord:
        """The record of one artifact; by default of its newest version.

        Raises:
            ArtifactNotFound: The run has no such artifact.
        """
        for record in reversed(await self.artifacts(tenant, run_id)):
            if record.name == name and version in (None, record.version):
                return record
        wanted = name if version is None else f"{name} version {version}"
        raise ArtifactNotFound(f"Run {run_id!r} has no artifact {wanted!r}.", run_id=run_id)

    async def delete(self, tenant: str, run_id: str) -> None:
        """Delete a run that has ended, with its events, result and artifacts.

        Its forks and retries are kept, because they have their own copies. If the deletion is
        interrupted, a worker finishes it.

        Raises:
            RunNotFinished: The run has not ended.
            UnreadableEntry: The log of the run is unreadable.
        """
        await self._erasure.delete(run_ref(tenant, run_id))

    async def close(self) -> None:
        """Send the notices that are still waiting."""
        await self._observers.notices.close()

    async def list(
        self,
        tenant: str,
        where: RunFilter,
        *,
        limit: int = 20,
        after: str | None = None,
        order: Order = "desc",
    ) -> RunPage:
        """A page of runs, newest first unless `order` is `asc`.

        Raises:
            UsageError: `after` is not a cursor.
        """
        return await self._list.page(tenant, where, limit=limit, after=after, order=order)


async def _continued(
    first: bytes, rest: AsyncGenerator[bytes, None]
) -> AsyncGenerator[bytes, None]:
    async with contextlib.aclosing(rest):
        if first:
            yield first
        async for chunk in rest:
            yield chunk
