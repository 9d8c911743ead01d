"""The function that serves the HTTP API, called by an HTTP API or a function URL."""

import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi import FastAPI

from teamrun.errors import UsageError
from teamrun.json_types import JsonObject
from teamrun.runtime import Runtime, open_runtime
from teamrun_api.app import create_app
from teamrun_api.settings import ApiSettings
from teamrun_infra.aws.http_events import respond
from teamrun_infra.aws.instance import Context, Instance, read_settings

__all__ = ["handler", "instance"]


class _Served:
    """The application over the runtime of the instance."""

    def __init__(self) -> None:
        self.app: FastAPI | None = None

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[Runtime]:
        """Open the runtime, and make the application.

        Raises:
            UsageError: A setting is invalid, there are no API keys, or the store cannot be used.
            StorageError: The store cannot be opened.
        """
        settings = read_settings(ApiSettings, buffered=True)
        if not settings.api_keys:
            raise UsageError(
                "TEAMRUN_API_KEYS is not set: everyone can reach the API of a function. Set it, or "
                "put it into a secret of TEAMRUN_SECRET_ENV.",
                setting="api_keys",
            )
        opening = open_runtime(
            settings,
            environ=os.environ,
            executes=False,
            grace=timedelta(),
            reachable_by="the URL of the function",
            batch_inputs=settings.batch_inputs,
            input_limit=settings.file_limit_bytes,
            is_frozen=True,
        )
        async with opening as runtime:
            self.app = create_app(
                service=runtime.service,
                batches=runtime.batches,
                webhooks=runtime.webhook_service,
                settings=settings,
                checks=runtime.checks(),
                live=runtime.live.is_shared,
                run_metrics=runtime.metric_lines,
            )
            yield runtime


_served = _Served()

instance = Instance(_served.open)


def handler(event: Mapping[str, Any], context: Context) -> JsonObject:
    """Answer a request.

    Returns:
        The answer, in version 2.0 of the payload format.

    Raises:
        TeamrunError: The function is misconfigured, or the store does not respond.
    """

    async def answer(deadline: datetime) -> JsonObject:
        await instance.host.runtime()
        assert _served.app is not None, "it is made with the runtime"
        left = (deadline - datetime.now(UTC)).total_seconds()
        found = await respond(_served.app, event, seconds=left)
        await instance.host.settle(deadline)
        return found

    return instance.run(answer, context)
