"""A deployment whose disk fills up under load: a program in a separate mount namespace.

`unshare --mount python -m tests.support.full_disk FOLDER` mounts a small file system there, which
ends with the process. The exit status is 77 if this machine does not allow it.
"""

import asyncio
import contextlib
import errno
import os
import subprocess
import sys
from pathlib import Path

from tests.support.deployment import TENANT, CountingModel, Deployment, deployed, sometime
from tests.support.load import Load

from teamrun.errors import Unavailable
from teamrun.runs.service.requests import RunRequest

RUNS = 8
FULL_S = 1.5


async def _main(folder: Path, disk: Path) -> None:
    async with CountingModel(latency_seconds=0.2) as model:
        store = (disk / "store").as_uri()
        async with deployed(folder / "deployment", model=model, store_url=store) as deployment:
            await deployment.ready(deployment.worker())
            await _fill_and_free(deployment, disk)


async def _fill_and_free(deployment: Deployment, disk: Path) -> None:
    load = Load(deployment)
    await load.submit(RUNS)
    asked = deployment.model.by_token
    await sometime(lambda: all(asked[token] for token in load.refs), "every run has been begun")
    ballast = disk / "ballast"
    _fill(ballast)
    try:
        request = RunRequest(team="office", input="Please book token-refused.")
        # Its key is written first, so that no marker is left, which would be open for an hour.
        await deployment.service.submit(TENANT, request, idempotency_key="refused")
    except Unavailable as error:
        assert error.data["errno"] == errno.ENOSPC, error
    else:
        raise AssertionError("a run was accepted on a full disk")
    await asyncio.sleep(FULL_S)
    assert await deployment.open_runs() > 0, "the runs went on without a place to write to"
    ballast.unlink()
    await deployment.all_settled()
    tally = await load.tally()
    tally.check()
    assert tally.extra_calls == 0
    sys.stdout.write(f"{tally.line('disk full')}\n")


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))


if __name__ == "__main__":
    _folder = Path(sys.argv[1])
    _disk = _folder / "disk"
    _disk.mkdir(parents=True)
    _mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(_disk)]
    if subprocess.run(_mount, capture_output=True, check=False).returncode != 0:
        sys.exit(77)
    os.environ.pop("PYTHONWARNINGS", None)
    asyncio.run(_main(_folder, _disk))
