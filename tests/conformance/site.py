"""What every host of the suite is given: files, settings, and servers that its runs call.

A host adds where its data and its queue are. Each secret of a deployment is a text of its own, so
that it can be searched for in everything that the deployment has written.
"""

import hashlib
import json
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.conformance.model import Model, model_server
from tests.conformance.team import write_team
from tests.support.receiver import Receiver, receiving
from tests.support.service import until

__all__ = [
    "API_KEY",
    "MODEL_KEY",
    "QUEUE_PASSWORD",
    "STORE_SECRET",
    "Site",
    "Written",
    "files_below",
    "open_site",
]

LEASE_S = 1
GRACE_S = 0.5
"""Time for calls in progress at a planned end."""

API_KEY = "key-canary-of-clients-93c1"
MODEL_KEY = "sk-canary-of-the-model-77aa"
STORE_SECRET = "canary-of-the-store-5d20"
"""The secret access key or account key of a store, for hosts that can choose it."""

QUEUE_PASSWORD = "canary-of-the-queue-e81b"

_SCOPES = ["runs:read", "runs:write", "teams:read", "webhooks:read", "webhooks:write"]


Written = tuple[str, bytes]
"""Where something is written, and its bytes."""


@dataclass
class Site:
    """The surroundings of one host."""

    folder: Path
    """Of the team file and its module, and for files of the host."""
    environ: dict[str, str]
    """Variables for every process of the host, besides those of its store and its queue."""
    model: Model
    receiver: Receiver
    answers: list[Written] = field(default_factory=list[Written])
    """What the API has answered, by method and path."""

    def notes(self, run_id: str = "") -> list[str]:
        """What the tools of a run have noted, such as `begun first`, one per call."""
        path = self.folder / "ledger"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        found = [line.split(" ", 1) for line in lines]
        return [note for run, note in found if run_id in ("", run)]

    def until_begun(self, run_id: str, name: str) -> None:
        """Wait until the call of `hold` with this name has begun."""
        until(lambda: f"begun {name}" in self.notes(run_id), f"{name} of {run_id} has begun")

    def release(self, run_id: str, name: str) -> None:
        """Let the calls of `hold` with this name end."""
        (self.folder / "gates" / f"{run_id}.{name}").touch()


@contextmanager
def open_site(folder: Path) -> Generator[Site]:
    """The files and the servers."""
    (folder / "gates").mkdir()
    with model_server(MODEL_KEY) as model, receiving() as receiver:
        write_team(folder, model_url=model.url)
        keys = [{"name": "suite", "sha256": _digest(API_KEY), "scopes": _SCOPES}]
        environ = {
            "TEAMRUN_CONFIG": str(folder / "teamrun.yaml"),
            "TEAMRUN_LEASE_SECONDS": str(LEASE_S),
            "TEAMRUN_GRACE_SECONDS": str(GRACE_S),
            "TEAMRUN_API_KEYS": json.dumps(keys),
            "TEAMRUN_ALLOWED_HOSTS": json.dumps([f"127.0.0.1:{receiver.port}"]),
            "TEAMRUN_LOG_LEVEL": "debug",
            "SUITE_MODEL_KEY": MODEL_KEY,
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        }
        yield Site(folder, environ, model, receiver)


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def files_below(*folders: Path) -> Iterator[Written]:
    """Every file in these folders, and the paths themselves."""
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            name = str(path.relative_to(folder))
            yield "name of a file", name.encode()
            with suppress(FileNotFoundError, IsADirectoryError):  # it may be deleted meanwhile
                yield name, path.read_bytes()
