"""A large batch through real Celery workers, an API and Valkey, with its figures.

python -m tests.support.batch_soak --items 100000            the figures
python -m tests.support.batch_soak --items 100000 --kills 20 nothing is lost, nothing is twice
"""

import itertools
import os
import platform
import sys
from pathlib import Path

from tests.support.batch_load import BatchLoad
from tests.support.deployment import deployed

__all__ = ["run"]

_KILLS = ("worker", "worker", "api", "worker", "valkey")

_TICKS = os.sysconf("SC_CLK_TCK")


class Meter:
    """The CPU time and the largest memory of each process."""

    def __init__(self) -> None:
        self.cpu_s: dict[str, float] = {}
        self.peak_mb: dict[str, float] = {}

    def note(self, load: BatchLoad) -> None:
        for name, pid in load.children.items():
            try:
                stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2]
                status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
            except OSError:  # it has just been killed
                continue
            user, system = stat.split()[11:13]
            self.cpu_s[name] = (int(user) + int(system)) / _TICKS
            [peak] = [line for line in status.splitlines() if line.startswith("VmHWM")]
            self.peak_mb[name] = max(self.peak_mb.get(name, 0), int(peak.split()[1]) / 1024)


async def run(items: int, kills: int, concurrency: int, folder: Path, *, lease_s: float) -> int:
    """Execute a batch, check that nothing is lost or there twice, and print the figures."""
    meter = Meter()
    planned = [*itertools.islice(itertools.cycle(_KILLS), kills)]
    async with deployed(
        folder / "d", environ={"TEAMRUN_LEASE_SECONDS": str(lease_s)}
    ) as deployment:
        load = BatchLoad(deployment, items=items, max_concurrency=concurrency)
        await load.run(kills=planned, within_s=3_600, note=meter.note)
    out = [
        f"{platform.platform()}, Python {platform.python_version()}, {os.cpu_count()} CPUs",
        f"{items} items, at most {concurrency} in flight, 2 workers, folder store without fsync",
        f"accepted in {load.accepted_s:.2f} s",
        f"{items / load.seconds:.0f} items/s ({load.seconds:.0f} s), killed: {dict(load.kills)}",
    ]
    if not kills:
        cpu = {name: f"{1e3 * used / items:.2f}" for name, used in meter.cpu_s.items()}
        total = sum(meter.cpu_s.values())
        out.append(f"CPU per item: {1e3 * total / items:.2f} ms, by process {cpu}")
    peak = {name: f"{mb:.0f}" for name, mb in meter.peak_mb.items()}
    out.append(f"peak memory in MB: {peak}")
    sys.stdout.write("".join(f"{line}\n" for line in out))
    return 0
