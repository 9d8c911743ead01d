"""The HTTP API in a function, whatever its platform."""

import os
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

from fastapi import FastAPI

from teamrun.errors import UsageError
from teamrun.runtime import Runtime, open_runtime
from teamrun_api.compose import app_of
from teamrun_api.settings import ApiSettings

__all__ = ["Served"]


class Served:
    """The application over the runtime of an instance.

    Args:
        read_settings: Reads the settings of the function.
        remedy: Where the platform keeps the API keys, for the error if there are none.
    """

    def __init__(self, read_settings: Callable[[], ApiSettings], *, remedy: str) -> None:
        self._read_settings = read_settings
        self._remedy = remedy
        self._app: FastAPI | None = None

    @property
    def app(self) -> FastAPI:
        """The application; the runtime has been opened."""
        assert self._app is not None, "it is made with the runtime"
        return self._app

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[Runtime]:
        """Open the runtime, and make the application.

        Raises:
            UsageError: A setting is invalid, there are no API keys, or the store cannot be used.
            StorageError: The store cannot be opened.
        """
        settings = self._read_settings()
        if not settings.api_keys:
            raise UsageError(
                "TEAMRUN_API_KEYS is not set: everyone can reach the API of a function. "
                f"{self._remedy}",
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
            self._app = app_of(runtime, settings)
            yield runtime
