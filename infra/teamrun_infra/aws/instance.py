"""One instance of a Lambda function: its event loop, its secrets, and what it keeps open."""

import asyncio
import gc
import os
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from typing import Protocol, TypeVar

from teamrun.logs import configure_logging
from teamrun.runtime import Runtime
from teamrun.settings import CommonSettings
from teamrun_infra.aws.secret_environment import SecretEnvironment
from teamrun_infra.functions import FunctionHost
from teamrun_infra.settings import logged_failures, read_function_settings

__all__ = ["Context", "Instance", "read_settings"]

T = TypeVar("T")
Settings = TypeVar("Settings", bound=CommonSettings)


class Context(Protocol):
    """What this package uses of Lambda's context object.

    Source: https://docs.aws.amazon.com/lambda/latest/dg/python-context.html
    """

    def get_remaining_time_in_millis(self) -> int:
        """The time before Lambda ends the invocation."""
        ...


class Instance:
    """Runs the invocations of one instance, one after the other, on one event loop.

    Lambda freezes the process between invocations. The loop, connections and the runtime stay, and
    the next invocation goes on with them.

    Args:
        open_runtime: Opens the runtime of the function, at the first invocation and again after
            a secret has changed.
    """

    def __init__(self, open_runtime: Callable[[], AbstractAsyncContextManager[Runtime]]) -> None:
        self.host = FunctionHost(open_runtime)
        self._secrets = SecretEnvironment(os.environ)
        self._runner: asyncio.Runner | None = None
        gc.freeze()  # a handler's module makes it when all is imported

    def run(self, work: Callable[[datetime], Awaitable[T]], context: Context) -> T:
        """The result of one invocation.

        Args:
            work: Called with the time at which Lambda ends the invocation.
            context: Lambda's.

        Raises:
            TeamrunError: The function is misconfigured, or the store does not respond.
        """
        left = timedelta(milliseconds=context.get_remaining_time_in_millis())
        deadline = datetime.now(UTC) + left
        if self._runner is None:
            self._runner = asyncio.Runner()
        with logged_failures():
            return self._runner.run(self._invoke(work, deadline))

    async def _invoke(self, work: Callable[[datetime], Awaitable[T]], deadline: datetime) -> T:
        if await self._secrets.renew():
            await self.host.close()
        return await work(deadline)

    def close(self) -> None:
        """Close what the instance has open. Lambda does not call this; tests do."""
        if self._runner is not None:
            self._runner.run(self.host.close())
            self._runner.close()
            self._runner = None


def read_settings(kind: type[Settings], **given: object) -> Settings:
    """The settings of a function, with logging as they want it.

    Raises:
        UsageError: They are invalid, or there is no queue.
    """
    return read_function_settings(
        kind, configure=configure_logging, queue_url="sqs://teamrun", **given
    )
