"""The Celery application: its settings, its one task, its heartbeat.

The settings are based on measurements; `docs/design/queue.md` has the reasons. A message is a hint
that names some runs. It is acknowledged before the runs start, because recovery is up to the run
log and the reaper.
"""

import signal
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from celery import Celery, bootsteps, signals
from celery.worker import state
from kombu import Queue as CeleryQueue

from teamrun.core.refs import RunRef
from teamrun.dispatch.celery import OLD_QUEUE, TASK, lists_of
from teamrun.dispatch.queues import RUN_QUEUES, Queue
from teamrun.json_types import JsonMapping
from teamrun.redis.address import RedisAddress, read_redis_url
from teamrun_worker.broker import transport_options

__all__ = ["beat_while_consuming", "end_on_signals", "look_often", "make_app"]

HEARTBEAT_S = 10.0

LOOK_S = 0.05


class Accept(Protocol):
    """Takes the runs of one message."""

    def __call__(self, refs: Sequence[RunRef], *, queue: Queue) -> None:
        """Return when each run has been started or returned to the queue."""
        ...


def make_app(
    redis: str | RedisAddress,
    *,
    accept: Accept,
    queues: Sequence[Queue] = RUN_QUEUES,
    prefix: str = "",
) -> Celery:
    """Make the application; its task passes the runs of each message to `accept`.

    Args:
        redis: The server, as a URL or as a parsed address.
        accept: Called with the runs of each message, and the queue that it came from.
        queues: The queues to consume; their priority is that of `RUN_QUEUES`.
        prefix: The namespace, a prefix of every key.

    Raises:
        UsageError: The URL is invalid.
    """
    address = read_redis_url(redis) if isinstance(redis, str) else redis
    app = Celery("teamrun", broker=address.where, set_as_current=False)
    app.conf.update(
        task_acks_late=False,
        worker_disable_prefetch=True,
        worker_prefetch_multiplier=1,
        task_ignore_result=True,
        result_backend=None,
        task_serializer="json",
        accept_content=["json"],
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        # Only tasks that are acknowledged late are cancelled, and there are none; without it
        # Celery logs several lines of advice at each loss.
        worker_cancel_long_running_tasks_on_connection_loss=True,
        broker_transport="teamrun_worker.broker:Transport",
        broker_transport_options=transport_options(address, prefix=prefix),
        task_queues=[CeleryQueue(name, routing_key=name) for name in lists_of(queues)],
        task_default_queue=lists_of(queues)[0],
        task_create_missing_queues=False,
    )

    def execute(self: Any, *refs: str) -> None:
        accept([RunRef.parse(ref) for ref in refs], queue=_source(self.request.delivery_info))

    app.task(name=TASK, bind=True, shared=False)(execute)
    return app


def _source(delivery: JsonMapping | None) -> Queue:
    name = (delivery or {}).get("routing_key")
    return Queue.INTERACTIVE if name in (OLD_QUEUE, None) else Queue(name)


def end_on_signals(worker: Any) -> None:
    """Make SIGTERM and SIGINT shut the worker down gracefully.

    This replaces Celery's handlers, which write plain text into a JSON log.
    """

    def install(_: object) -> None:
        for name in ("SIGTERM", "SIGINT"):
            signal.signal(getattr(signal, name), end)

    def end(number: int, _frame: object) -> None:
        name = signal.Signals(number).name
        signals.worker_shutting_down.send(sender=worker.hostname, sig=name, how="Warm", exitcode=0)
        state.should_stop = 0

    worker.install_platform_tweaks = install


def look_often(app: Celery) -> None:
    """Make the consumer notice within 50 ms that a thread is free.

    A thread that ends its task does not wake Celery's event loop. While all threads wait for
    capacity, the loop sleeps for up to a second, and the worker would start four runs per second.
    """

    class Look(bootsteps.StartStopStep):
        requires = ("celery.worker.components:Timer",)

        def start(self, parent: Any) -> None:
            parent.timer.call_repeatedly(LOOK_S, _nothing)

    app.steps["worker"].add(Look)


def _nothing() -> None:
    """Do nothing: the loop looks at the queue after each timer."""


def beat_while_consuming(app: Celery, beat: Callable[[], None]) -> None:
    """Call `beat` when the worker starts to consume, then every ten seconds.

    The timer belongs to the consumer: a process that is alive but does not consume has no beats.
    """

    class Heartbeat(bootsteps.StartStopStep):
        requires = ("celery.worker.components:Timer",)

        def start(self, parent: Any) -> None:
            parent.timer.call_repeatedly(HEARTBEAT_S, beat)

    app.steps["worker"].add(Heartbeat)

    def begin(**_: Any) -> None:
        beat()

    signals.worker_ready.connect(begin, weak=False)
