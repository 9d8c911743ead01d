"""The API from a fresh process to the answer to its first request, besides Redis and its socket."""

import time
from typing import Any

from tests.benchmarks.meter import measured, memory_kb, scratch
from tests.benchmarks.ours.team_file import write_team_file

from teamrun.live.memory import MemoryLive
from teamrun.runtime import Backends
from teamrun.settings import CommonSettings, load_settings
from teamrun.storage.open import open_store
from teamrun.testing.queue import MemoryQueue
from teamrun_api.app import create_app
from teamrun_api.compose import open_api
from teamrun_api.settings import ApiSettings

_BODY = b'{"team": "team", "input": "Name a word, then another one."}'
_HEADERS = [(b"host", b"127.0.0.1"), (b"content-type", b"application/json")]


def _backends(settings: CommonSettings) -> Backends:
    return Backends(open_store(settings.store_url), MemoryLive(), MemoryQueue())


async def cold() -> dict[str, float]:
    with scratch() as folder:
        config = write_team_file(folder, turns=1, delay_s=0)
        settings = load_settings(ApiSettings, config=config, data_dir=folder)
        async with open_api(settings, environ={}, backends=_backends) as runtime:
            app = create_app(
                service=runtime.service,
                batches=runtime.batches,
                webhooks=runtime.webhook_service,
                teams=runtime.teams,
                threads=runtime.threads,
                settings=settings,
            )
            scope = {
                "type": "http",
                "asgi": {"version": "3.0"},
                "http_version": "1.1",
                "method": "POST",
                "scheme": "http",
                "path": "/v1/runs",
                "raw_path": b"/v1/runs",
                "query_string": b"",
                "root_path": "",
                "headers": _HEADERS,
                "client": ("127.0.0.1", 1),
                "server": ("127.0.0.1", 80),
            }
            status = 0

            async def receive() -> dict[str, Any]:
                return {"type": "http.request", "body": _BODY, "more_body": False}

            async def send(message: Any) -> None:
                nonlocal status
                status = message.get("status", status)

            await app(scope, receive, send)
            assert status == 202, status
            return {"cpu_ms": time.process_time() * 1e3, "memory_mb": memory_kb() / 1e3}


if __name__ == "__main__":
    measured({"cold": cold})
