"""The worker process, from its settings to its exit status."""

import gc
import logging
import os
import signal
import sys
import threading
import warnings
from typing import Any

from celery import signals
from celery.exceptions import SecurityWarning

from teamrun.errors import TeamrunError, UsageError
from teamrun.logs import configure_logging
from teamrun.runtime import OpenBackends, namespace_of, open_backends
from teamrun.settings import load_settings, unknown_variables
from teamrun_worker.app import beat_while_consuming, end_on_signals, look_often, make_app
from teamrun_worker.compose import open_worker, redis_of
from teamrun_worker.health import Pulse
from teamrun_worker.host import Host
from teamrun_worker.settings import WorkerSettings

__all__ = ["main"]

logger = logging.getLogger(__name__)

# Garbage collection would take half of the CPU time with a thousand runs; runs leave few cycles.
GC_THRESHOLDS = (50_000, 20, 100)


def main(*, backends: OpenBackends = open_backends) -> int:
    """Execute runs until SIGTERM; returns the exit status, which is 2 if a setting is invalid.

    Args:
        backends: Opens the store, the live state and the queue.
    """
    try:
        settings = load_settings(WorkerSettings)
    except UsageError as error:
        sys.stderr.write(f"teamrun worker: {error}\n")
        return 2
    configure_logging(level=settings.log_level, form=settings.log_format)
    for fault in unknown_variables(os.environ):
        logger.warning(
            "An environment variable is unknown",
            extra={"action": "settings.variable_unknown", "error": fault},
        )
    try:
        return _work(settings, backends)
    except UsageError as error:
        logger.error(
            "The configuration of the worker is invalid",
            extra={"action": "worker.misconfigured", "error": str(error)},
        )
        return 2
    except TeamrunError as error:
        logger.error(
            "The worker could not start", extra={"action": "worker.failed", "error": str(error)}
        )
        return 1


def _work(settings: WorkerSettings, backends: OpenBackends) -> int:
    redis = redis_of(settings)
    # Celery warns root and users without a name, as in containers, because of pickled messages;
    # these messages are JSON.
    warnings.filterwarnings("ignore", category=SecurityWarning)
    logging.getLogger("celery.worker.consumer.consumer").addFilter(_is_no_attempt)
    pulse = Pulse(settings.heartbeat)
    host = Host(
        lambda: open_worker(settings, pulse=pulse, backends=backends),
        capacity=settings.max_runs,
        grace=settings.grace,
        queues=settings.run_queues,
        on_lost=_end_process,
    )
    app = make_app(
        redis, accept=host.submit, queues=settings.run_queues, prefix=namespace_of(settings)
    )
    look_often(app)
    host.start()
    beat_while_consuming(app, lambda: host.beat(pulse.beat))
    _connect(host)
    # Not collected before: the imports leave some 800 objects that nothing refers to.
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    gc.enable()
    # Workers do not communicate with one another: they coordinate by the log and the leases.
    worker = app.Worker(
        pool="threads",
        concurrency=settings.threads,
        quiet=True,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    )
    end_on_signals(worker)
    try:
        worker.start()
    finally:
        host.close()
    return 1 if host.is_lost else worker.exitcode or 0


def _is_no_attempt(record: logging.LogRecord) -> bool:
    """Drop the log line of each failed connection attempt; `watch_redis` logs an outage once."""
    return not str(record.msg).startswith("consumer: Cannot connect")


def _end_process() -> None:
    """Make Celery shut down as on SIGTERM; `_work` then returns 1."""
    os.kill(os.getpid(), signal.SIGTERM)  # to the process, so that the main thread wakes up


def _connect(host: Host) -> None:
    def keep_ours(**_: Any) -> None:
        """Do nothing: a receiver of this signal prevents Celery from configuring logging."""

    def ready(**_: Any) -> None:
        logger.info("The worker is ready", extra={"action": "worker.ready", "pid": os.getpid()})

    def shutting_down(**_: Any) -> None:
        host.stop()
        hard = threading.Timer(host.close_s + 5, os._exit, (1,))
        hard.daemon = True
        hard.start()

    signals.setup_logging.connect(keep_ours, weak=False)
    signals.worker_ready.connect(ready, weak=False)
    signals.worker_shutting_down.connect(shutting_down, weak=False)
