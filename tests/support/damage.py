"""A store with a run of every kind, and everything that can happen to one of its objects."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple

from tests.support.runs import TENANT, Cluster

from teamrun.components.registry import Registry
from teamrun.core.refs import RunRef
from teamrun.runs.log.entries import Claim
from teamrun.runs.service.requests import ForkRequest, RunRequest
from teamrun.storage.memory import MemoryStore
from teamrun.testing import ScriptedModel
from teamrun.tools.context import ToolContext
from teamrun.tools.function import FunctionTool

__all__ = ["DAMAGES", "KEY", "Damage", "Wreck", "ages", "build", "cluster_over", "execute"]

LONG = "x" * 70_000
"""A text that makes its entry a blob."""

KEY = "the-key"

SCRIPT: dict[str, list[Any]] = {
    "a": [{"tool_calls": [{"name": "note", "arguments": {"text": "kept"}}]}, LONG, "DONE"],
}

TEAMS: dict[str, Any] = {
    "team": {
        "type": "round_robin_group_chat",
        "participants": [{"type": "assistant_agent", "name": "a", "model": "m", "tools": ["note"]}],
        "termination": {"type": "text_mention", "text": "DONE", "sources": ["a"]},
        "max_turns": 5,
    },
    "asking": {
        "type": "round_robin_group_chat",
        "participants": [{"type": "user_proxy_agent", "name": "boss"}],
        "max_turns": 1,
    },
}


def note(text: str, context: ToolContext) -> str:
    """Leave a file."""
    context.artifacts.write("note.txt", text)
    return "noted"


class Wreck(NamedTuple):
    """The built store: its objects, and the runs by kind."""

    objects: Mapping[str, bytes]
    runs: Mapping[str, RunRef]

    def owner_of(self, key: str) -> str | None:
        """Which of the runs an object belongs to."""
        return next((name for name, ref in self.runs.items() if ref.run_id in key), None)


@dataclass(frozen=True)
class Damage:
    """One thing that can happen to an object: None is its removal."""

    id: str
    do: Callable[[bytes], bytes | None]


def _newer_kind(data: bytes) -> bytes:
    if not data.startswith(b'{"v":'):
        return data
    entry = json.loads(data)
    return json.dumps({**entry, "kind": "hologram", "body": {"kind": "hologram"}}).encode()


def _member(name: str, value: Any) -> Callable[[bytes], bytes]:
    def change(data: bytes) -> bytes:
        if not data.startswith(b'{"v":'):
            return data
        return json.dumps(json.loads(data) | {name: value}).encode()

    return change


_MISFIT: list[dict[str, Any]] = [{"type": "run.input_received", "agent": None, "data": {}}]

DAMAGES = [
    Damage("truncated", lambda data: data[: len(data) // 2]),
    Damage("one byte short", lambda data: data[:-1]),
    Damage("emptied", lambda _: b""),
    Damage("removed", lambda _: None),
    Damage("garbage", lambda data: b"\xff\x00\x9f" * (1 + len(data) // 3)),
    Damage("another object", lambda _: b'{"a":1}'),
    Damage("a list", lambda _: b"[]"),
    Damage("null", lambda _: b"null"),
    Damage("a blob that is not there", lambda _: b'{"blob":"' + b"0" * 64 + b'"}'),
    Damage("a blob without a name", lambda _: b'{"blob":7}'),
    Damage("a newer kind", _newer_kind),
    Damage("a newer format", _member("v", 2)),
    Damage("another number", _member("n", 77)),
    Damage("no events", _member("events", None)),
    Damage("events of a wrong shape", _member("events", _MISFIT)),
    Damage("a body of a wrong shape", _member("body", {})),
    Damage("no time", _member("at", "yesterday")),
]


def cluster_over(store: MemoryStore) -> Cluster:
    """A deployment over a store."""
    model = ScriptedModel(SCRIPT)
    registry = Registry.of(
        teams=TEAMS, models={"m": model}, tools=[FunctionTool(note, description="Leave a file.")]
    )
    return Cluster(SCRIPT, team=TEAMS["team"], store=store, model=model, registry=registry)


async def execute(cluster: Cluster, ref: RunRef, owner: str = "w1") -> None:
    worker = cluster.worker(owner)
    await worker.execute(ref)
    await worker.close()


async def build() -> Wreck:
    """A run that has ended, one that was begun, one that waits, a fork, and bystanders."""
    store = MemoryStore()
    cluster = cluster_over(store)

    async def submit(team: str = "team", **request: Any) -> RunRef:
        key = request.pop("key", None)
        made = RunRequest.model_validate({"team": team, "input": "go", **request})
        submitted = await cluster.service.submit(TENANT, made, idempotency_key=key)
        return RunRef(TENANT, submitted.run.id)

    ended = await submit(key=KEY, metadata={"kind": "ended"})
    await execute(cluster, ended)
    again = ForkRequest(after_seq=8)
    forked = await cluster.service.fork(TENANT, ended.run_id, again)
    fork = RunRef(TENANT, forked.run.id)
    waiting = await submit("asking")
    await execute(cluster, waiting)
    begun = await submit()
    log = cluster.log(begun, "dead")
    state = await log.state()
    assert state is not None
    await log.append(state, Claim(owner="dead"), [], epoch=1)
    later = await submit(delay_seconds=3600)
    done = await submit()
    await execute(cluster, done)
    queued = await submit()
    await cluster.service.close()
    runs = {
        "ended": ended,
        "fork": fork,
        "waiting": waiting,
        "begun": begun,
        "later": later,
        "bystander that has ended": done,
        "bystander that is queued": queued,
    }
    keys = await store.list("")
    objects = {key: await store.get(key) for key in keys}
    return Wreck(objects, runs)


def ages(cluster: Cluster) -> None:
    """Let the lease of everything run out."""
    cluster.clock.shift += cluster.lease + timedelta(seconds=1)
