"""An operator sees at start that the certificate of the Redis server is not verified."""

import logging
from pathlib import Path

import pytest

from teamrun.runtime import open_backends
from teamrun.settings import CommonSettings
from teamrun_api.settings import ApiSettings
from teamrun_worker.settings import WorkerSettings


@pytest.mark.parametrize("kind", [ApiSettings, WorkerSettings])
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
    kind: type[CommonSettings],
    url: str,
    warned: bool,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING, logger="teamrun"):
        backends = open_backends(kind(redis_url=url, store_url=tmp_path.as_uri()))
    await backends.live.close()
    await backends.store.close()
    found = [r for r in caplog.records if getattr(r, "action", None) == "redis.unverified"]
    assert len(found) == warned
    assert all("s3cret" not in str(r.__dict__) for r in found)
