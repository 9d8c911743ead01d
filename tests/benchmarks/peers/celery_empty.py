"""The floor of a job: an empty plain Celery task with `acks_late`, on Valkey.

`python -m tests.benchmarks.peers.celery_empty worker BROKER FOLDER` is the worker.
"""

import asyncio
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from celery import Celery, signals
from tests.benchmarks.meter import cpu_s_of, measured, scratch
from tests.support.services import valkey

TASK = "empty"


def make_app(broker: str) -> Celery:
    """The application, for senders and workers."""
    app = Celery("empty", broker=broker, set_as_current=False)
    app.conf.update(
        task_acks_late=True,
        task_ignore_result=True,
        task_serializer="json",
        accept_content=["json"],
        broker_connection_retry_on_startup=True,
    )
    return app


def work(broker: str, folder: Path) -> None:
    """Count the tasks in a file; the last one of `expected` creates it."""
    app, done = make_app(broker), 0

    def empty(expected: int) -> None:
        nonlocal done
        done += 1
        if done == expected:
            done = 0
            (folder / "done").touch()

    def ready(**_: Any) -> None:
        (folder / "ready").touch()

    signals.worker_ready.connect(ready, weak=False)
    app.task(name=TASK, shared=False)(empty)
    worker: Any = app.Worker(
        pool="threads",
        concurrency=1,
        quiet=True,
        loglevel="WARNING",
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    )
    worker.start()


async def tasks(*, runs: int) -> dict[str, float]:
    """CPU of a worker per task; all are in the queue."""
    return await asyncio.to_thread(_measured, runs)


def _measured(runs: int) -> dict[str, float]:
    with scratch() as folder, valkey() as server:
        command = [sys.executable, "-m", __spec__.name, "worker", server.broker_url, str(folder)]
        with subprocess.Popen(command) as process:
            try:
                _await(folder / "ready")
                app = make_app(server.broker_url)
                _done(app, folder, 20)
                cpu_s, began = cpu_s_of(process.pid), time.perf_counter()
                _done(app, folder, runs)
                wall_s, cpu_s = time.perf_counter() - began, cpu_s_of(process.pid) - cpu_s
                app.close()
            finally:
                process.kill()
    return {"cpu_ms": cpu_s / runs * 1e3, "wall_s": wall_s}


def _done(app: Celery, folder: Path, count: int) -> None:
    for _ in range(count):
        app.send_task(TASK, [count])
    _await(folder / "done")
    (folder / "done").unlink()


def _await(path: Path) -> None:
    """Return when another process has created a file."""
    while not path.exists():
        time.sleep(0.05)


if __name__ == "__main__":
    if sys.argv[1] == "worker":
        work(sys.argv[2], Path(sys.argv[3]))
    else:
        measured({"tasks": tasks})
