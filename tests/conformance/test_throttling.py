"""A bucket that throttles: the same events on a Celery worker whose requests to S3 often fail."""

import asyncio
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.conformance.hosts import HOSTS
from tests.conformance.plays import Plays, expected
from tests.conformance.site import STORE_SECRET, open_site
from tests.support.figures import Figures
from tests.support.proxies import FaultyProxy, Rates
from tests.support.services import moto

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

_RATES = Rates(error=0.1)
_SCENARIOS = [
    "plain",
    "tools",
    "five_calls",
    "person_answers",
    "tool_approved",
    "cancelled_in_a_tool_call",
    "webhook",
]


def test_a_bucket_that_throttles_changes_no_event(tmp_path: Path, figures: Figures) -> None:
    with (
        moto() as server,
        throttled(server.endpoint) as proxy,
        open_site(tmp_path) as site,
    ):
        server.make_bucket("runs")
        site.environ["TEAMRUN_STORE_URL"] = (
            f"s3://runs/x?endpoint={proxy.endpoint}&region=eu-west-1"
        )
        site.environ["AWS_ACCESS_KEY_ID"] = "suite"
        site.environ["AWS_SECRET_ACCESS_KEY"] = STORE_SECRET
        with HOSTS["celery worker"](site) as host:
            plays = Plays(host, site, only=_SCENARIOS)
            records = {name: plays.record(name, "none") for name in _SCENARIOS}
            plays.close()
            written = b"".join(data for _, data in host.written())
        begun = (tmp_path / "ledger").read_text(encoding="utf-8").splitlines()

    for name in _SCENARIOS:
        assert records[name] == expected(name), name
    assert len(begun) == len(set(begun)), "a call was made twice"
    assert proxy.counts["error"] > 10
    assert STORE_SECRET.encode() not in written
    total = proxy.counts.total()
    figures.add(
        f"conformance, S3 that throttles: {proxy.counts['error']} of {total} requests refused; "
        f"of {len(_SCENARIOS)} runs 0 lost, 0 calls paid twice"
    )


@contextmanager
def throttled(endpoint: str) -> Generator[FaultyProxy]:
    """A proxy of a server, on a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="proxy")
    thread.start()
    proxy = FaultyProxy(endpoint, _RATES)
    asyncio.run_coroutine_threadsafe(proxy.__aenter__(), loop).result(60)
    try:
        yield proxy
    finally:
        asyncio.run_coroutine_threadsafe(proxy.__aexit__(), loop).result(60)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(60)
        loop.close()
