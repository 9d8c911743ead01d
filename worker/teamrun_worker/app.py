"""The Celery application: its settings, its one task, its heartbeat.

The settings are based on measurements; `docs/design/queue.md` has the reasons. A message is a hint
that names a run. It is acknowledged before the run starts, because recovery is up to the run log
and the reaper.
"""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from celery import Celery, bootsteps, signals
from celery.worker import state

from teamrun.core.refs import RunRef
from teamrun.dispatch.celery import QUEUE, TASK
from teamrun.redis.address import RedisAddress, read_redis_url
from teamrun_worker.broker import transport_options

__all__ = ["end_on_signals", "make_app", "touch_while_consuming"]

HEARTBEAT_S = 10.0


def make_app(
    redis: str | RedisAddress, *, accept: Callable[[RunRef], None], prefix: str = ""
) -> Celery:
    """Make the application; its task passes each run reference to `accept`.

    Args:
        redis: The server, as a URL or as a parsed address.
        accept: Called with each run reference.
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
        task_default_queue=QUEUE,
        task_create_missing_queues=False,
    )

    def execute(ref: str) -> None:
        accept(RunRef.parse(ref))

    app.task(name=TASK, shared=False)(execute)
    return app


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


def touch_while_consuming(
    app: Celery, path: Path, *, beat: Callable[[Callable[[], None]], None]
) -> None:
    """Touch `path` when the worker starts to consume, then every ten seconds.

    The timer belongs to the consumer, and `beat` goes through the event loop of the runs. The file
    is therefore not touched by a process that is alive but does no work.
    """

    def touch() -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    class Heartbeat(bootsteps.StartStopStep):
        requires = ("celery.worker.components:Timer",)

        def start(self, parent: Any) -> None:
            parent.timer.call_repeatedly(HEARTBEAT_S, beat, (touch,))

    app.steps["worker"].add(Heartbeat)

    def begin(**_: Any) -> None:
        beat(touch)

    signals.worker_ready.connect(begin, weak=False)
