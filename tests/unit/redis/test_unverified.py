"""An operator sees at start that the certificate of the Redis server is not verified."""

import logging
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest

import teamrun_api.compose
import teamrun_api.settings
import teamrun_worker.compose
import teamrun_worker.settings

Open = Callable[[str, str], Coroutine[None, None, None]]


async def _open_api(redis: str, store: str) -> None:
    settings = teamrun_api.settings.ApiSettings(redis_url=redis, store_url=store)
    backends = teamrun_api.compose.open_backends(settings)
    await backends.live.close()
    await backends.store.close()


async def _open_worker(redis: str, store: str) -> None:
    settings = teamrun_worker.settings.WorkerSettings(redis_url=redis, store_url=store)
    backends = teamrun_worker.compose.open_backends(settings)
    await backends.live.close()
    await backends.store.close()


@pytest.mark.parametrize("opens", [_open_api, _open_worker])
@pytest.mark.parametrize(
    ("url", "warned"),
    [
        ("rediss://:s3cret@127.0.0.1:1/0?ssl_cert_reqs=none", True),
        ("rediss://:s3cret@127.0.0.1:1/0?ssl_check_hostname=false", True),
        ("rediss://:s3cret@127.0.0.1:1/0", False),
        ("redis://:s3cret@127.0.0.1:1/0", False),
    ],
)
async def test_an_unverified_certificate_is_a_warning_at_start(
    opens: Open, url: str, warned: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="teamrun"):
        await opens(url, tmp_path.as_uri())
    found = [r for r in caplog.records if getattr(r, "action", None) == "redis.unverified"]
    assert len(found) == warned
    assert all("s3cret" not in str(r.__dict__) for r in found)
