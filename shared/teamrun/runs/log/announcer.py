"""Notices to live subscribers: a log has grown, a run is at rest, or a model is streaming text.

Any notice may be lost: a subscriber that receives none reads the log by itself. A notice is sent at
once if none was sent in the last milliseconds. Otherwise it is combined with others, so that a busy
worker sends one for several entries.
"""

import asyncio
import contextlib
import logging
import math
from collections import Counter
from datetime import timedelta

from pydantic_core import to_json

from teamrun.core.refs import RunRef
from teamrun.errors import DeliveryError
from teamrun.json_types import JsonObject
from teamrun.live.base import Live, View
from teamrun.runs.log.entries import End, Entry, Intent, Signal, Step
from teamrun.runs.log.state import RunState
from teamrun.runs.log.status import AT_REST, TERMINAL

__all__ = [
    "GROWN",
    "STORE_LEASE",
    "STORE_LEASE_TIME",
    "Notices",
    "lease_name",
    "owner_topic",
    "rest_topic",
    "run_topic",
    "view_key",
    "view_of",
]

logger = logging.getLogger(__name__)

GROWN = b""
"""The message that means: read the log. All other messages are deltas, as JSON."""

_MOST_WAITING = 10_000

_GATHER = timedelta(milliseconds=5)

STORE_LEASE = "store"
"""The lease that the processes of one store have together; its owner is the store's identity."""

STORE_LEASE_TIME = timedelta(minutes=1)


def run_topic(ref: RunRef) -> str:
    """The topic that followers of a run subscribe to."""
    return f"run:{ref}"


def rest_topic(ref: RunRef) -> str:
    """The topic of those that wait until a run has ended, or waits for a person.

    It has a notice when that may be the case, so they need not read the log at each entry.
    """
    return f"rest:{ref}"


def owner_topic(owner: str) -> str:
    """The topic that a worker subscribes to; its messages are references to the worker's runs."""
    return f"owner:{owner}"


def lease_name(ref: RunRef) -> str:
    """The name of the lease on a run."""
    return f"run:{ref}"


def view_key(ref: RunRef) -> str:
    """The key of the view of a run."""
    return f"run:{ref}"


def view_of(state: RunState) -> View:
    """A state in its shared form."""
    return View(state.entries, state.to_json())


class Notices:
    """Sends notices in order, in the background.

    Args:
        live: The live state.
        gather: The minimum time between two batches; streamed text does not wait for it.
        views: Whether states are shared. If the live state is that of a process which only executes
            runs, nothing reads them.
    """

    def __init__(self, live: Live, *, gather: timedelta = _GATHER, views: bool = True) -> None:
        self._live = live
        self._views = views
        self._gather_s = gather.total_seconds()
        self._waiting: dict[tuple[str, str | int], RunState | bytes] = {}
        self._count = 0
        self._pieces = Counter[str]()  # of text, in the batch that waits, by topic
        self._task: asyncio.Task[None] | None = None
        self._urgent = asyncio.Event()  # the next batch does not wait
        self._sent_at = -math.inf

    def appended(self, ref: RunRef, entry: Entry, state: RunState | None) -> None:
        """Announce an entry to all followers of the run.

        Its owner is notified of a signal, and the worker that may keep it in memory, of the end.

        The state is shared too if the entry may have changed the status of the run.
        """
        if state is None:
            return
        match entry.body:
            case Step() | Intent():
                is_changed = not _QUESTIONS.isdisjoint([event.type for event in entry.events])
            case Signal() if state.owner is not None:
                self.poke(state.owner, ref)
                is_changed = True
            case End() if state.released_by not in (None, entry.writer):
                self.poke(state.released_by, ref)
                is_changed = True
            case _:
                is_changed = True
        self.changed(ref, state, view=is_changed)

    def changed(self, ref: RunRef, state: RunState, *, view: bool) -> None:
        """Announce that a log has grown; with `view`, its state is shared too.

        Few clients read single items of a batch; the view of one is shared when it is read.
        """
        if view:
            if self._views and state.spec.batch is None:
                self._add(("view", view_key(ref)), state)  # serialized when it is sent
            if state.status in _RESTS:
                self._add((rest_topic(ref), 0), GROWN)
        # One notice stands for several, but not across a piece of text: subscribers must receive
        # both in the order in which they occurred.
        topic = run_topic(ref)
        self._add((topic, -1 - self._pieces.get(topic, 0)), GROWN)

    def delta(self, ref: RunRef, data: JsonObject) -> None:
        """Publish a piece of streamed text."""
        self._count += 1
        self._pieces[run_topic(ref)] += 1
        message = to_json({"type": "message.delta", "run_id": ref.run_id, **data})
        self._add((run_topic(ref), self._count), message)
        self._urgent.set()

    def poke(self, owner: str, ref: RunRef) -> None:
        """Ask the owner of a run to read its log."""
        self._count += 1
        self._add((owner_topic(owner), self._count), str(ref).encode())
        self._urgent.set()

    async def flushed(self) -> None:
        """Return when every notice so far has been sent or dropped."""
        if self._waiting:
            self._urgent.set()
        while self._task is not None:
            await asyncio.wait([self._task])

    async def close(self) -> None:
        """Send the notices that are still waiting."""
        with contextlib.suppress(asyncio.CancelledError):
            await self.flushed()

    def _add(self, key: tuple[str, str | int], message: RunState | bytes) -> None:
        if len(self._waiting) < _MOST_WAITING:
            self._waiting[key] = message
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._send())

    async def _send(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            await self._pause(loop)
            self._urgent.clear()
            while self._waiting:
                batch, self._waiting = self._waiting, {}
                self._pieces.clear()
                for (kind, name), message in batch.items():
                    await self._send_one(kind, name, message)
        except DeliveryError as error:
            self._waiting.clear()
            logger.debug(
                "Notices were lost", extra={"action": "announcer.notices_lost", "error": str(error)}
            )
        finally:
            self._task = None
            self._sent_at = loop.time()

    async def _pause(self, loop: asyncio.AbstractEventLoop) -> None:
        """Wait until the next batch is due.

        The sending task waits itself. If a timer started it instead, a task started while the loop
        closes would never be cancelled.
        """
        due = self._sent_at + self._gather_s
        if loop.time() < due:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(due):
                    await self._urgent.wait()

    async def _send_one(self, kind: str, name: str | int, message: RunState | bytes) -> None:
        if isinstance(message, RunState):
            await self._live.set_view(str(name), view_of(message))
        else:
            await self._live.publish(kind, message)


_RESTS = TERMINAL | AT_REST

_QUESTIONS = frozenset({"run.input_required", "run.input_received"})
"""Events of a step that may change the status of the run; most steps have none."""
