"""`rediss://`: the password is sent to a server only after its certificate was verified."""

import asyncio
import ssl
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
from tests.support.certificates import Authority
from tests.support.proxies import TlsProxy
from tests.support.services import Valkey

from teamrun.errors import DeliveryError
from teamrun.live.open import open_live
from teamrun_worker.app import make_app

pytestmark = pytest.mark.integration


async def _run(body: Coroutine[Any, Any, None]) -> None:
    await body


async def _live_connects(url: str) -> bool:
    live = open_live(url)
    try:
        await live.ping()
    except DeliveryError as error:
        assert "hunter2" not in str(error)
        return False
    finally:
        await live.close()
    return True


async def _celery_connects(url: str) -> bool:
    connection = make_app(url, accept=lambda refs, queue: None).connection_for_read()

    def connect() -> bool:
        try:
            connection.connect()
        except Exception as error:
            assert isinstance(error, connection.connection_errors)
            assert "hunter2" not in str(error)
            return False
        finally:
            connection.release()
        return True

    return await asyncio.to_thread(connect)


CLIENTS = pytest.mark.parametrize("connects", [_live_connects, _celery_connects])


async def _attempt(
    server: Valkey, tls: ssl.SSLContext, connects: Any, options: str
) -> tuple[bool, bytes]:
    async with TlsProxy(server.socket, tls) as proxy:
        connected: bool = await connects(f"{proxy.url}{options}")
        return connected, bytes(proxy.received)


@CLIENTS
@pytest.mark.parametrize("signer", ["other", "wrong name"])
async def test_a_server_with_a_wrong_certificate_gets_nothing(
    valkey_server: Valkey, tmp_path: Path, connects: Any, signer: str
) -> None:
    ours, other = Authority(tmp_path, "ours"), Authority(tmp_path, "other")
    tls = other.server() if signer == "other" else ours.server("127.0.0.9")

    async def body() -> None:
        options = f"?password=hunter2&ssl_ca_certs={ours.ca_file}"
        assert await _attempt(valkey_server, tls, connects, options) == (False, b"")

    await _run(body())


@CLIENTS
async def test_a_certificate_that_no_trusted_authority_signed_is_refused_by_default(
    valkey_server: Valkey, tmp_path: Path, connects: Any
) -> None:
    async def body() -> None:
        tls = Authority(tmp_path, "ours").server()
        found = await _attempt(valkey_server, tls, connects, "?password=hunter2")
        assert found == (False, b"")

    await _run(body())


@CLIENTS
@pytest.mark.parametrize("trust", ["ssl_ca_certs={}", "ssl_cert_reqs=none"])
async def test_a_trusted_certificate_or_an_explicit_setting_connects(
    valkey_server: Valkey, tmp_path: Path, connects: Any, trust: str
) -> None:
    async def body() -> None:
        ours = Authority(tmp_path, "ours")
        options = f"?{trust.format(ours.ca_file)}"
        connected, _ = await _attempt(valkey_server, ours.server(), connects, options)
        assert connected

    await _run(body())
