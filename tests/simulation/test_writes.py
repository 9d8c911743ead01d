"""Every kind of write of simulated processes is a point at which a test kills a process."""

from collections.abc import Iterable
from pathlib import Path

import pytest
from tests.integration.faults.test_batch_crash_points import API, WORKER
from tests.integration.faults.test_crash_points import CASES as OF_RUNS
from tests.integration.faults.test_delivery_crash_points import CASES as OF_DELIVERIES
from tests.simulation.ports import StorePort
from tests.simulation.schedule import run_schedule
from tests.support.crash_points import kind_of

_ROOT = Path(__file__).parents[2]

_REPEATED = "tests/unit/batches/test_repeated_requests.py"

ELSEWHERE = {
    "blob": "tests/unit/runs/test_engine.py",
    "snapshot.json": "tests/unit/runs/test_snapshots.py",
    "removal of list marker": "tests/unit/runs/test_lost_markers.py",
    "removal of version of a webhook": "tests/unit/webhooks/test_endpoints.py",
    "batch entry:signal": "tests/unit/batches/test_crashes.py",
    "batch entry:stop": "tests/unit/batches/test_stops.py",
    "state.json": "tests/unit/batches/test_crashes.py",
    "todo.json": "tests/unit/batches/test_races.py",
    "removal of batch items": _REPEATED,
    "page of a thread": "tests/unit/threads/test_pages.py",
    "thread entry:created": "tests/simulation/test_schedules.py",
    "thread entry:joined": "tests/unit/threads/test_crashes.py",
    "removal of invalid.jsonl": _REPEATED,
}
"""Kinds at which no real process is killed, with the tests that interrupt them in process."""


def _plain(kinds: Iterable[str]) -> set[str]:
    """Kinds without the contents of a step, which depend on the program."""
    return {kind.partition(" of ")[0] if kind.startswith("entry:") else kind for kind in kinds}


@pytest.mark.timeout(300)
def test_every_kind_of_write_is_a_crash_point(monkeypatch: pytest.MonkeyPatch) -> None:
    written = set[str]()
    put_new, put, delete = StorePort.put_new, StorePort.put, StorePort.delete

    async def seen_put_new(self: StorePort, key: str, data: bytes) -> bool:
        written.add(kind_of(key, data))
        return await put_new(self, key, data)

    async def seen_put(self: StorePort, key: str, data: bytes) -> None:
        written.add(kind_of(key, data))
        await put(self, key, data)

    async def seen_delete(self: StorePort, key: str) -> None:
        written.add(f"removal of {kind_of(key)}")
        await delete(self, key)

    monkeypatch.setattr(StorePort, "put_new", seen_put_new)
    monkeypatch.setattr(StorePort, "put", seen_put)
    monkeypatch.setattr(StorePort, "delete", seen_delete)
    for seed in range(24):
        run_schedule(seed, hooks=1, batches=seed % 2, threads=0)
    for seed in range(4):
        run_schedule(seed, threads=1)

    points = [case.point for case in (*OF_RUNS, *OF_DELIVERIES) if case.point]
    killed = {point.partition(" ")[2] for point in points} | {*WORKER, *API}
    assert _plain(written) - _plain(killed) <= ELSEWHERE.keys()
    assert all((_ROOT / path).is_file() for path in ELSEWHERE.values())
