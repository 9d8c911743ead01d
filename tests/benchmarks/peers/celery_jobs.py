"""The peer of the fault table: the same job as a plain Celery task, set to survive what it can.

Late acknowledgement, nothing fetched ahead, rejection of what a lost worker had, a visibility
timeout as short as a lease of ours, and a look at it every second (by default: every 100).
`python -m tests.benchmarks.peers.celery_jobs BROKER MODEL FOLDER TIMEOUT PLACES` is a worker.
"""

import json
import os
import sys
import urllib.request
from pathlib import Path
from typing import Any

from celery import Celery, signals

__all__ = ["TASK", "make_app"]

TASK = "book"
CALLS = 7
"""What our own team needs for the same: two for the clerk's first turn, one for each other."""

_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def make_app(broker: str, visibility_timeout_s: float) -> Celery:
    """The application, for senders and workers."""
    app = Celery("jobs", broker=broker, set_as_current=False)
    app.conf.update(
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        task_ignore_result=True,
        task_serializer="json",
        accept_content=["json"],
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={
            "visibility_timeout": visibility_timeout_s,
            "unacked_restore_interval": 1,
            "unacked_restore_throttle": 1,
            "socket_timeout": 5,
            "socket_connect_timeout": 2,
        },
    )
    return app


def _book(token: str, *, model: str, folder: Path) -> None:
    _ask(model, token)
    _write(folder / "ledger.txt", token)
    for _ in range(CALLS - 1):
        _ask(model, token)
    _write(folder / "done.txt", token)


def _ask(model: str, token: str) -> None:
    message = {"role": "user", "content": f"Please book {token}."}
    body = json.dumps({"model": "gpt-4o", "messages": [message]}).encode()
    request = urllib.request.Request(
        f"{model}/chat/completions", body, {"Content-Type": "application/json"}
    )
    with _direct.open(request, timeout=30) as response:
        response.read()


def _write(path: Path, token: str) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(file, f"{token}\n".encode())
    os.close(file)


def main() -> None:
    """Work until killed."""
    broker, model, folder, timeout_s, places = sys.argv[1:]
    app = make_app(broker, float(timeout_s))

    def book(token: str) -> None:
        _book(token, model=model, folder=Path(folder))

    def ready(**_: Any) -> None:
        _write(Path(folder) / "ready.txt", str(os.getpid()))

    signals.worker_ready.connect(ready, weak=False)
    app.task(name=TASK, shared=False)(book)
    worker: Any = app.Worker(
        pool="threads",
        concurrency=int(places),
        quiet=True,
        loglevel="WARNING",
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    )
    worker.start()


if __name__ == "__main__":
    main()
