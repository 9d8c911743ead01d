"""`GET /metrics` of a worker, for Prometheus."""

from teamrun.core.exposition import MetricLines, head, sample
from teamrun.dispatch.base import Dispatcher, QueueDepth
from teamrun.errors import DeliveryError
from teamrun.version import VERSION
from teamrun_worker.pages import Answer

__all__ = ["rendered"]


async def rendered(runs: MetricLines, dispatcher: Dispatcher) -> Answer:
    """All metrics of a worker; the queue depth is left out while the queue is unreachable."""
    lines = [
        *head("teamrun_build_info", "gauge", "The running version."),
        sample("teamrun_build_info", 1, {"version": VERSION}),
        *runs(),
        *await _queue_lines(dispatcher),
    ]
    return Answer("200 OK", "\n".join(lines) + "\n")


async def _queue_lines(dispatcher: Dispatcher) -> list[str]:
    if not isinstance(dispatcher, QueueDepth):
        return []
    name = "teamrun_queue_messages"
    try:
        depths = await dispatcher.depths()
    except DeliveryError:
        return []
    samples = [sample(name, count, {"queue": queue}) for queue, count in sorted(depths.items())]
    return [*head(name, "gauge", "Messages waiting in a queue."), *samples]
