"""The HTTP API as an ASGI application that opens its runtime at the first request."""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Final

from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from teamrun.errors import UsageError
from teamrun.runtime import Runtime, open_runtime
from teamrun_api.app import create_app
from teamrun_api.settings import ApiSettings
from teamrun_infra.azure.settings import read_settings
from teamrun_infra.functions import FunctionHost

__all__ = ["Serving"]

_RESPONSE_LIMIT: Final = timedelta(seconds=230)
"""After which the load balancer of Azure ends a request, whatever the time limit.
Source: https://learn.microsoft.com/en-us/azure/azure-functions/functions-scale#timeout"""


class Serving:
    """The API of one process, over a runtime that its first request opens."""

    def __init__(self) -> None:
        self.host = FunctionHost(self._open)
        self._app: FastAPI | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request.

        Raises:
            TeamrunError: The function is misconfigured, or the store does not respond.
        """
        if scope["type"] == "lifespan":
            await _live(receive, send)
            return
        deadline = datetime.now(UTC) + _RESPONSE_LIMIT
        await self.host.runtime()
        assert self._app is not None, "it is made with the runtime"
        await self._app(scope, receive, send)
        await self.host.settle(deadline)

    @asynccontextmanager
    async def _open(self) -> AsyncGenerator[Runtime]:
        settings = read_settings(ApiSettings, buffered=True)
        if not settings.api_keys:
            raise UsageError(
                "TEAMRUN_API_KEYS is not set: everyone can reach the API of a function. Set it, "
                "for example to a reference to a secret of Key Vault.",
                setting="api_keys",
            )
        opening = open_runtime(
            settings,
            environ=os.environ,
            executes=False,
            grace=timedelta(),
            reachable_by="the URL of the function app",
            batch_inputs=settings.batch_inputs,
            input_limit=settings.file_limit_bytes,
            is_frozen=True,
        )
        async with opening as runtime:
            self._app = create_app(
                service=runtime.service,
                batches=runtime.batches,
                webhooks=runtime.webhook_service,
                settings=settings,
                checks=runtime.checks(),
                live=runtime.live.is_shared,
                run_metrics=runtime.metric_lines,
            )
            yield runtime


async def _live(receive: Receive, send: Send) -> None:
    """The lifespan protocol; the runtime needs no end, since the platform gives it none."""
    while True:
        kind = (await receive())["type"]
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return
