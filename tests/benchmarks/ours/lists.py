"""Pages of a list in a folder with many runs, while runs come in."""

import statistics
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.benchmarks.meter import Meter, measured, scratch
from tests.benchmarks.ours.durable import service, talk
from tests.benchmarks.ours.models import Speaker

from teamrun.core.ids import new_id
from teamrun.core.refs import RunRef
from teamrun.runs.log.keys import list_marker
from teamrun.runs.service.listing import RunFilter
from teamrun.storage.file import FileStore

_TENANT = "default"


async def page(*, runs: int, pages: int, apart_s: float = 1.0) -> dict[str, float]:
    """A page of 20 after each new run; the others were submitted `apart_s` after one another."""
    with scratch() as folder:
        _fill(folder, runs, apart_s)
        async with service(Speaker(), talk(1), FileStore(folder)) as serving:
            for _ in range(40):
                await serving.submit()
            walls_ms: list[float] = []
            cpu_s = submit_s = 0.0
            for _ in range(pages):
                with Meter() as submitting:
                    await serving.submit()
                with Meter() as listing:
                    began = time.perf_counter()
                    found = await serving.runs.list(_TENANT, RunFilter(), limit=20)
                    walls_ms.append((time.perf_counter() - began) * 1e3)
                assert len(found.data) == 20
                cpu_s += listing.cpu_s
                submit_s += submitting.cpu_s
    return {
        "cpu_us": cpu_s / pages * 1e6,
        "wall_ms": statistics.median(walls_ms),
        "submit_us": submit_s / pages * 1e6,
    }


def _fill(folder: Path, runs: int, apart_s: float) -> None:
    """Markers of older runs; what else a run has is in a folder of its own."""
    now = datetime.now(UTC)
    for n in range(runs):
        at = now - timedelta(seconds=(n + 1) * apart_s)
        path = folder / list_marker(RunRef(_TENANT, new_id("run")), at)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


if __name__ == "__main__":
    measured({"page": page})
