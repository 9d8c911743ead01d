"""The operations on threads of the HTTP API."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from teamrun.core.clock import Clock
from teamrun.core.ids import new_id
from teamrun.core.refs import RunRef, is_run_id
from teamrun.errors import (
    DamagedBlob,
    IdempotencyConflict,
    PreconditionFailed,
    RunNotFound,
    ThreadBusy,
    UnreadableEntry,
    UsageError,
)
from teamrun.runs.log.keys import idempotency_key, is_list_name, list_path
from teamrun.runs.service.requests import request_digest
from teamrun.runs.service.resources import Run, RunPage
from teamrun.storage.base import ObjectStore
from teamrun.threads.log import thread_not_found
from teamrun.threads.records import (
    Changed,
    Created,
    Deleted,
    ThreadState,
    list_key,
    thread_list_folder,
)
from teamrun.threads.requests import ThreadPatch, ThreadRequest
from teamrun.threads.resources import (
    Thread,
    ThreadMessage,
    ThreadMessages,
    ThreadPage,
    ThreadSnapshot,
)
from teamrun.threads.turns import ThreadTurns

if TYPE_CHECKING:
    from teamrun.threads.conversation import Said

__all__ = ["CreatedThread", "ThreadService"]

_CURSOR = "the cursor is invalid; send `next_cursor` of the page before, unchanged"

_MOST_TOGETHER: Final = 8
"""How many runs are read together for a page of messages."""

ReadRun = Callable[[str, str], Awaitable[Run]]
"""Returns a run of a tenant."""


class CreatedThread(NamedTuple):
    """A thread, after a request to create it."""

    thread: Thread
    replayed: bool
    """The Idempotency-Key was used for the same request before."""


class ThreadService:
    """The threads of all tenants; each method takes a tenant and only accesses its own.

    All methods with a `thread_id` raise `ThreadNotFound` if the tenant has no such thread, and
    all raise `StorageError` if storage does not respond.

    Args:
        store: The object store.
        turns: The order of the runs.
        read_run: Reads a run.
        clock: The clock.
    """

    def __init__(
        self, *, store: ObjectStore, turns: ThreadTurns, read_run: ReadRun, clock: Clock
    ) -> None:
        self._store = store
        self._turns = turns
        self._logs = turns.logs
        self._read_run = read_run
        self._clock = clock

    async def create(
        self, tenant: str, request: ThreadRequest, *, key: str | None = None
    ) -> CreatedThread:
        """Create a thread.

        Raises:
            IdempotencyConflict: The key was used with another request.
        """
        digest, thread_id = request_digest(request), new_id("thr")
        if key is not None:
            place = idempotency_key(tenant, "POST /v1/threads", key)
            if not await self._store.put_new(place, thread_id.encode()):
                thread_id = (await self._store.get(place)).decode()
        await self._store.put_new(list_key(tenant, thread_id), b"")
        created = Created(metadata=request.metadata, request_hash=digest)
        is_new = await self._logs.append(tenant, thread_id, 0, created)
        state = await self._logs.any_state(tenant, thread_id)
        assert state is not None, "it has an entry"
        if state.request_hash not in (None, digest):
            raise IdempotencyConflict(
                "The Idempotency-Key was used with another request; use a new key."
            )
        if state.is_deleted:
            await self._store.delete(list_key(tenant, thread_id))
            raise IdempotencyConflict(
                "The Idempotency-Key was used for a thread that has been deleted; use a new key."
            )
        return CreatedThread(await self._shown(tenant, state), not is_new)

    async def list(self, tenant: str, *, limit: int, after: str | None = None) -> ThreadPage:
        """A page of threads, the newest first.

        Raises:
            UsageError: `after` is not a cursor.
        """
        if after is not None and not is_list_name(after):
            raise UsageError(_CURSOR)
        folder = thread_list_folder(tenant)
        place = "" if after is None else folder + list_path(after)
        keys = await self._store.list(folder, after=place, limit=limit + 1)
        names = [key.rpartition("/")[2] for key in keys]
        found = await asyncio.gather(
            *(self._logs.any_state(tenant, name.partition(".")[2]) for name in names[:limit])
        )
        states = [state for state in found if state is not None and not state.is_deleted]
        has_more = len(names) > limit
        return ThreadPage(
            data=list(await asyncio.gather(*(self._shown(tenant, each) for each in states))),
            next_cursor=names[limit - 1] if has_more else None,
            has_more=has_more,
        )

    async def get(self, tenant: str, thread_id: str) -> Thread:
        """A thread."""
        return await self._shown(tenant, await self._state(tenant, thread_id))

    async def update(
        self, tenant: str, thread_id: str, patch: ThreadPatch, *, revision: int | None = None
    ) -> Thread:
        """Replace the metadata of a thread.

        Raises:
            PreconditionFailed: The thread has changed since `revision`.
        """
        while True:
            state = await self._state(tenant, thread_id)
            _check_revision(state, revision)
            changed = Changed(metadata=patch.metadata)
            if await self._logs.append(tenant, thread_id, state.entries, changed):
                return await self.get(tenant, thread_id)

    async def delete(self, tenant: str, thread_id: str, *, revision: int | None = None) -> None:
        """Delete a thread; its runs are kept.

        Raises:
            PreconditionFailed: The thread has changed since `revision`.
            ThreadBusy: A run of the thread has not ended.
        """
        while True:
            state = await self._state(tenant, thread_id)
            _check_revision(state, revision)
            entries = state.entries
            if busy := await self._turns.ends.first_open(tenant, state):
                raise ThreadBusy(
                    f"The thread {thread_id!r} has a run that has not ended ({busy}); wait for its"
                    " end, or cancel it.",
                    run_id=busy,
                )
            if await self._logs.append(tenant, thread_id, entries, Deleted()):
                await self._store.delete(list_key(tenant, thread_id))
                return

    async def runs(
        self, tenant: str, thread_id: str, *, limit: int, after: str | None = None
    ) -> RunPage:
        """A page of the runs of a thread, the newest first; deleted ones are left out.

        Raises:
            UsageError: `after` is not a cursor.
        """
        state = await self._state(tenant, thread_id)
        stop = len(state.runs) if after is None else min(_number(after), len(state.runs))
        places = range(stop - 1, max(stop - limit, 0) - 1, -1)
        found: list[Run] = []
        for place in places:
            try:
                found.append(await self._read_run(tenant, state.runs[place].run_id))
            except RunNotFound:
                continue
        has_more = bool(places) and places[-1] > 0
        return RunPage(
            data=found, next_cursor=str(places[-1]) if has_more else None, has_more=has_more
        )

    async def messages(
        self, tenant: str, thread_id: str, *, limit: int, after: str | None = None
    ) -> ThreadMessages:
        """A page of the conversation, the oldest message first.

        Raises:
            UsageError: `after` is not a cursor.
        """
        state = await self._state(tenant, thread_id)
        begin = _Place(0, None) if after is None else _place(state, after)
        runs = [
            joined.run_id
            for joined in state.runs[begin.run :]
            if joined.run_id not in state.dropped | state.removed
        ]
        known = {state.runs[begin.run].run_id: begin.message} if begin.message else {}
        found: list[tuple[str, Said]] = []
        unreadable: list[tuple[str, int]] = []
        count = 1
        while runs and len(found) <= limit:
            # Runs may be long or short: each time twice as many are read together.
            group, missing = runs[: min(count, limit + 1 - len(found))], limit + 1 - len(found)
            read = await asyncio.gather(
                *(self._said(RunRef(tenant, each), missing, known.get(each)) for each in group)
            )
            for run_id, said in zip(group, read, strict=True):
                if len(found) > limit:
                    break
                if said is None:
                    unreadable.append((run_id, len(found)))
                found += [(run_id, each) for each in said or ()]
            runs, count = runs[len(group) :], min(2 * count, _MOST_TOGETHER)
        page = found[:limit]
        has_more = len(found) > limit
        return ThreadMessages(
            data=[ThreadMessage(run_id=run_id, message=said.message) for run_id, said in page],
            next_cursor=_cursor(*page[-1]) if has_more else None,
            has_more=has_more,
            # One behind the last message of this page comes with the next page.
            unreadable_run_ids=[run_id for run_id, n in unreadable if n < limit or not has_more],
        )

    async def snapshot(self, tenant: str, thread_id: str) -> ThreadSnapshot:
        """The state from which the next run continues."""
        state = await self._state(tenant, thread_id)
        run_id, team_state = await self._turns.conversation.latest(tenant, state)
        return ThreadSnapshot(thread_id=thread_id, run_id=run_id, state=team_state)

    async def _said(
        self, ref: RunRef, most: int, after: tuple[int, int] | None
    ) -> "Sequence[Said] | None":
        """The next messages of a run; None if it is unreadable."""
        try:
            return await self._turns.conversation.said(ref, most=most, after=after)
        except (UnreadableEntry, DamagedBlob):
            return None

    async def _state(self, tenant: str, thread_id: str) -> ThreadState:
        if not is_run_id(thread_id):
            raise thread_not_found(thread_id)
        return await self._logs.state(tenant, thread_id)

    async def _shown(self, tenant: str, state: ThreadState) -> Thread:
        active = await self._turns.ends.open(tenant, state)
        return Thread(
            id=state.thread_id,
            status="busy" if active else "idle",
            active_run_id=active[0] if active else None,
            queued_run_ids=active[1:],
            runs_count=len(state.runs) - len(state.removed),
            revision=state.entries,
            metadata=state.metadata,
            created_at=state.created_at,
            updated_at=state.updated_at,
        )


def _check_revision(state: ThreadState, revision: int | None) -> None:
    """Refuse a change that is based on another revision.

    Raises:
        PreconditionFailed: The thread has changed since.
    """
    if revision not in (None, state.entries):
        raise PreconditionFailed(
            f"The thread {state.thread_id!r} has changed since; read it again."
        )


def _number(cursor: str) -> int:
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 9):
        raise UsageError(_CURSOR)
    return int(cursor)


class _Place(NamedTuple):
    """Where a page of messages begins."""

    run: int
    """The place of the run in the thread."""
    message: tuple[int, int] | None
    """The last message of this run that the client has; None: it has none."""


def _cursor(run_id: str, said: "Said") -> str:
    """The cursor of a message names it: other runs may be deleted until the next page is read."""
    return f"{run_id}.{said.entry}.{said.event}"


def _place(state: ThreadState, cursor: str) -> _Place:
    run_id, *numbers = cursor.rsplit(".", 2)
    if run_id not in state.positions or len(numbers) != 2:
        raise UsageError(_CURSOR)
    return _Place(state.positions[run_id], (_number(numbers[0]), _number(numbers[1])))
