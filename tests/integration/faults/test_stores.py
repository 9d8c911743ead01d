"""A store that fails, loses responses, disappears, or is full."""

import os
import shutil
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.support import fault_scenarios as scenarios
from tests.support.deployment import CountingModel, deployed
from tests.support.figures import Figures
from tests.support.proxies import FaultyProxy, Rates
from tests.support.services import azurite, moto

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

ILL = Rates(error=0.2, slow=0.05, lost=0.1)


@pytest.mark.parametrize("kind", ["s3", "az"])
async def test_a_bucket_that_fails_and_is_away_for_a_time_loses_and_doubles_nothing(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, figures: Figures
) -> None:
    with _bucket(kind) as (endpoint, url, environ):
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        async with FaultyProxy(endpoint, ILL) as proxy, CountingModel(latency_seconds=0.2) as model:
            store = url.replace(endpoint, proxy.endpoint)
            given = {"store_url": store, "environ": dict(os.environ)}
            async with deployed(tmp_path, model=model, **given) as deployment:
                tally, statuses = await scenarios.ill_stored(deployment, proxy, runs=8, away_s=3)
        figures.add(tally.line(f"{kind}: 30 % of requests ill"), f"{'':24} {dict(proxy.counts)}")
        tally.check()
        assert statuses == {503: 1}
        assert tally.extra_calls <= tally.claims - tally.runs


@contextmanager
def _bucket(kind: str) -> Generator[tuple[str, str, dict[str, str]]]:
    """A server, the URL of a store on it, and the credentials."""
    if kind == "s3":
        with moto() as server:
            server.make_bucket("runs")
            yield server.endpoint, server.url("runs", "x"), server.environ()
    else:
        with azurite() as server:
            server.make_container("runs")
            endpoint = server.blob_endpoint.removesuffix(f"/{server.account}")
            yield endpoint, server.url("runs", "x"), server.environ()


@pytest.mark.skipif(
    shutil.which("unshare") is None or os.geteuid() != 0, reason="needs root and Linux namespaces"
)
def test_a_full_disk_delays_runs_until_there_is_space(tmp_path: Path, figures: Figures) -> None:
    program = [sys.executable, "-m", "tests.support.full_disk", str(tmp_path)]
    done = subprocess.run(
        ["unshare", "--mount", *program],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        timeout=100,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip("this machine does not let a test mount a file system")
    assert done.returncode == 0, done.stderr
    figures.add(done.stdout.rstrip())
