"""`GET /healthz` and `GET /readyz` of a worker: whether it consumes the queue."""

import time
from collections.abc import Callable
from pathlib import Path

from teamrun.dispatch.base import Dispatcher, QueueDepth
from teamrun.errors import DeliveryError
from teamrun_worker.pages import Answer

__all__ = ["STALE_S", "Pulse", "alive", "ready"]

STALE_S = 60.0
"""Six beats: a worker that is silent for longer does not consume."""


class Pulse:
    """When the worker last showed that it consumes the queue.

    Args:
        file: Touched at each beat, for probes that look at its age.
        clock: Seconds that do not go back.
    """

    def __init__(
        self, file: Path | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._file, self._clock = file, clock
        self._started, self._last = clock(), None

    def beat(self) -> None:
        """Record that Celery's consumer and the event loop of the runs both work."""
        self._last = self._clock()
        if self._file is not None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._file.touch()

    @property
    def has_begun(self) -> bool:
        """Whether there has been a beat."""
        return self._last is not None

    @property
    def silent_s(self) -> float:
        """Seconds since the last beat, or since the start."""
        return self._clock() - (self._started if self._last is None else self._last)


async def ready(pulse: Pulse) -> Answer:
    """200 if the worker has consumed the queue within the last minute."""
    if not pulse.has_begun:
        return Answer("503 Service Unavailable", "The worker does not consume yet.\n")
    return Answer("200 OK", "ok\n") if pulse.silent_s < STALE_S else _silent(pulse)


async def alive(pulse: Pulse, dispatcher: Dispatcher) -> Answer:
    """200 unless the process has to be restarted; a blocked event loop sends no response at all.

    A worker that waits for its queue to return is not at fault: a restart would only interrupt its
    runs.
    """
    if pulse.silent_s < STALE_S:
        return Answer("200 OK", "ok\n")
    if isinstance(dispatcher, QueueDepth):
        try:
            await dispatcher.depths()
        except DeliveryError:
            return Answer("200 OK", "The worker waits for its queue, which does not respond.\n")
    return _silent(pulse)


def _silent(pulse: Pulse) -> Answer:
    return Answer(
        "503 Service Unavailable",
        f"The worker has not consumed its queue for {pulse.silent_s:.0f} s.\n",
    )
