"""`python3 scripts/dev.py soak`: the faults of the tests, one after the other, at full length.

Some two hundred runs are in flight all the time. The guarantees are asserted; the cost is
printed, one line for each fault.
"""

import argparse
import asyncio
import os
import platform
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support import batch_soak
from tests.support import fault_scenarios as scenarios
from tests.support.deployment import CountingModel, Deployment, IllPlan, deployed
from tests.support.load import Tally
from tests.support.proxies import FaultyProxy, Rates, SilentProxy
from tests.support.services import moto, valkey

from teamrun.errors import TeamrunError

LATENCY_S = 2.5
"""Of the model: with seven calls a run and twelve runs a second, two hundred are in flight."""
ILL = Rates(error=0.2, slow=0.05, lost=0.1)


@dataclass(frozen=True)
class Soak:
    """One fault, for so many seconds."""

    name: str
    run: Callable[["Place", float], Awaitable[Tally]]


@dataclass(frozen=True)
class Place:
    """The folder of the deployments."""

    folder: Path
    lease_s: float

    @asynccontextmanager
    async def deployment(
        self, name: str, *, model: CountingModel | None = None, store_url: str | None = None
    ) -> AsyncGenerator[Deployment]:
        """A deployment with a model that takes its time."""
        environ = {**os.environ, "TEAMRUN_LEASE_SECONDS": str(self.lease_s)}
        async with (
            model or CountingModel(latency_seconds=LATENCY_S) as server,
            deployed(
                self.folder / name, model=server, store_url=store_url, environ=environ
            ) as deployment,
        ):
            yield deployment


async def _calm(place: Place, seconds: float) -> Tally:
    async with place.deployment("calm") as deployment:
        task = asyncio.create_task(scenarios.calm(deployment, seconds=seconds))
        await asyncio.sleep(seconds / 2)
        early = [_kb_and_files(worker.pid) for worker in deployment.children]
        await asyncio.sleep(seconds / 2)
        late = [_kb_and_files(worker.pid) for worker in deployment.children]
        for (kb, files), (kb_then, files_then) in zip(early, late, strict=True):
            _say(
                f"  a worker after half of the load: {kb / 1024:.0f} MB, {files} open files; "
                f"at its end: {kb_then / 1024:.0f} MB, {files_then}"
            )
        return await task


async def _killed(place: Place, seconds: float) -> Tally:
    async with place.deployment("killed") as deployment:
        return await scenarios.killed(deployment, seconds=seconds, every_s=3 * place.lease_s)


async def _rolled(place: Place, seconds: float) -> Tally:
    async with place.deployment("rolled") as deployment:
        tally = await scenarios.rolled(deployment, seconds=seconds, every_s=10)
    assert tally.extra_calls == 0, "a planned restart repeated a call"
    return tally


async def _flushed(place: Place, seconds: float) -> Tally:
    async with place.deployment("flushed") as deployment:
        tally = await scenarios.flushed(deployment, seconds=seconds, every_s=10)
    assert tally.extra_calls == 0, "a flush repeated a call"
    return tally


async def _replaced(place: Place, seconds: float) -> Tally:
    async with place.deployment("replaced") as deployment:
        tally, statuses, delay_s = await scenarios.replaced(
            deployment, away_s=seconds, runs=int(seconds * 4)
        )
    _say(f"  answers while Redis was away: {dict(statuses)}; all ended {delay_s:.1f} s later")
    assert set(statuses) == {202}
    return tally


async def _frozen(place: Place, _: float) -> Tally:
    async with place.deployment("frozen") as deployment:
        tally, said = await scenarios.frozen(deployment, runs=150)
    _say(f"  the zombie was fenced {said['engine.fenced']} times")
    return tally


async def _silenced(place: Place, _: float) -> Tally:
    with valkey() as server:
        async with (
            CountingModel(latency_seconds=LATENCY_S) as model,
            SilentProxy(server.socket) as proxy,
            Deployment(
                place.folder / "silenced",
                server,
                model,
                redis_url=proxy.url,
                environ={"TEAMRUN_LEASE_SECONDS": str(place.lease_s)},
            ) as deployment,
        ):
            tally, delay_s = await scenarios.silenced(deployment, proxy, runs=100)
    _say(f"  all ended {delay_s:.1f} s after the cut")
    return tally


async def _ill_stored(place: Place, seconds: float) -> Tally:
    with moto() as server:
        os.environ.update(server.environ())
        server.make_bucket("runs")
        async with FaultyProxy(server.endpoint, ILL) as proxy:
            store = f"s3://runs/x?endpoint={proxy.endpoint}&region=us-east-1"
            async with place.deployment("ill_stored", store_url=store) as deployment:
                tally, statuses = await scenarios.ill_stored(
                    deployment, proxy, runs=40, away_s=seconds / 2
                )
        _say(f"  requests {dict(proxy.counts)}; a submission while it was away: {dict(statuses)}")
    return tally


async def _ill_model(place: Place, seconds: float) -> Tally:
    plan = IllPlan()
    model = CountingModel(plan, latency_seconds=LATENCY_S)
    async with place.deployment("ill_model", model=model) as deployment:
        tally = await scenarios.ill_model(deployment, seconds=seconds)
    _say(f"  {plan.given} calls went wrong, {tally.extra_calls} calls were made again")
    return tally


SOAKS = (
    Soak("no fault", _calm),
    Soak("kill -9", _killed),
    Soak("SIGTERM in turn", _rolled),
    Soak("FLUSHALL", _flushed),
    Soak("Redis away", _replaced),
    Soak("zombie", _frozen),
    Soak("half-open sockets", _silenced),
    Soak("S3: 35 % ill, then away", _ill_stored),
    Soak("model: 25 % ill", _ill_model),
)


def _kb_and_files(pid: int) -> tuple[int, int]:
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    line = next(line for line in rollup.splitlines() if line.startswith("Pss:"))
    return int(line.split()[1]), len(list(Path(f"/proc/{pid}/fd").iterdir()))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def _main(arguments: argparse.Namespace, folder: Path) -> int:
    if arguments.batch:
        return await batch_soak.run(
            arguments.batch, arguments.kills, arguments.concurrency, folder, lease_s=arguments.lease
        )
    chosen = [soak for soak in SOAKS if arguments.only in (None, soak.name)]
    seconds = arguments.minutes * 60 / len(chosen)
    _say(
        f"{platform.platform()}, Python {platform.python_version()}, {os.cpu_count()} CPUs; "
        f"lease {arguments.lease} s, {seconds:.0f} s of load for each fault"
    )
    failed = 0
    for soak in chosen:
        begun = time.monotonic()
        try:
            tally = await soak.run(Place(folder, arguments.lease), seconds)
            _say(f"{tally.line(soak.name)}, in {time.monotonic() - begun:.0f} s")
            tally.check()
        except (AssertionError, TeamrunError) as error:
            failed += 1
            _say(f"{soak.name}: FAILED: {error}")
    return 1 if failed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="dev.py soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="of load, all together [10]")
    parser.add_argument("--lease", type=float, default=5.0, help="seconds [5]")
    parser.add_argument("--only", choices=[soak.name for soak in SOAKS], help="one fault")
    parser.add_argument("--batch", type=int, help="one batch of so many items instead of faults")
    parser.add_argument("--kills", type=int, default=20, help="of processes, for --batch [20]")
    parser.add_argument("--concurrency", type=int, default=400, help="for --batch [400]")
    return parser.parse_args()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="soak-") as _folder:
        sys.exit(asyncio.run(_main(_arguments(), Path(_folder))))
