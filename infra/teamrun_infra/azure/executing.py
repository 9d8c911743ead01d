"""What the functions that execute runs do: messages of queues, and the timer."""

import hashlib
import logging
import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Final

import azure.functions as func

from teamrun.core.refs import RunRef
from teamrun.dispatch.message import decode_refs
from teamrun.dispatch.queues import Queue
from teamrun.errors import StorageError
from teamrun.runtime import Runtime, open_runtime
from teamrun.settings import CommonSettings
from teamrun_infra.azure.settings import queues_of, read_settings
from teamrun_infra.azure.time_limit import TimeLimit
from teamrun_infra.functions import FunctionHost
from teamrun_infra.settings import logged_failures

__all__ = ["Executing", "open_executing"]

logger = logging.getLogger(__name__)

_SHORTEST_PAUSE: Final = timedelta(seconds=5)
"""Before a run that could not be executed is tried again."""
_EXCERPT: Final = 100


@asynccontextmanager
async def open_executing(limit: TimeLimit) -> AsyncGenerator[Runtime]:
    """The runtime of a process whose functions execute runs.

    Args:
        limit: The time limit of invocations, for the log.

    Raises:
        UsageError: A setting or the operator's file is invalid, or the store cannot be used.
        StorageError: The store cannot be opened.
    """
    settings = read_settings(CommonSettings)
    limit.log()
    opening = open_runtime(
        settings,
        environ=os.environ,
        executes=True,
        grace=timedelta(),
        reachable_by="its queue in Azure",
        is_frozen=True,
    )
    async with opening as runtime:
        queues_of(runtime)
        yield runtime


class Executing:
    """The functions of one process that execute runs, with one runtime.

    Args:
        limit: The time limit of invocations.
        host: The runtime.
    """

    def __init__(self, limit: TimeLimit, *, host: FunctionHost | None = None) -> None:
        self._limit = limit
        self.host = host or FunctionHost(partial(open_executing, limit))

    async def execute(self, message: func.QueueMessage, *, queue: Queue) -> None:
        """Execute the runs that a message names.

        A function on Azure cannot put its message off. So a run that has to be tried again, such as
        one that another instance has, gets a new message that is hidden for the time.

        Raises:
            StorageError: The message names a single run, and its log is damaged. The platform
                counts that, and moves the message to the poison queue.
            TeamrunError: The function is misconfigured, or the store or the queue does not respond.
                The platform delivers the message again.
        """
        deadline = self._limit.deadline()
        with logged_failures():
            queues = queues_of(await self.host.runtime())
            outcomes = await self.host.execute(_refs_of(message, queue), deadline=deadline)
            for ref, pause, is_unreadable in outcomes:
                if is_unreadable and len(outcomes) == 1:
                    raise StorageError(
                        f"The log of run {ref.run_id!r} is unreadable, so its message fails: see "
                        "engine.run_unreadable in the logs."
                    )
                if pause is not None:  # an unreadable run gets a message of its own, too
                    await queues.send_later([ref], queue=queue, delay=max(pause, _SHORTEST_PAUSE))

    async def deliver(self, message: func.QueueMessage) -> None:
        """Make the deliveries to webhooks that a message names; the timer makes those left over.

        Raises:
            TeamrunError: The function is misconfigured, or the store does not respond.
        """
        deadline = self._limit.deadline()
        try:
            with logged_failures():
                await self.host.runtime()
                await self.host.deliver(_refs_of(message, Queue.HOOKS), deadline=deadline)
        except TimeoutError:
            logger.info(
                "An invocation ends before its deliveries; the timer makes them",
                extra={"action": "function.undelivered"},
            )

    async def look_around(self) -> None:
        """Do what background tasks do elsewhere.

        Raises:
            TeamrunError: The function is misconfigured, or the store does not respond.
        """
        with logged_failures():
            await self.host.look_around(deadline=self._limit.deadline())

    async def give_up(self, message: func.QueueMessage, *, queue: Queue) -> None:
        """Settle the runs of a message that failed too often; see `DeadLetters.settle`.

        Raises:
            TeamrunError: The function is misconfigured, or the store or the queue does not respond.
        """
        deadline = self._limit.deadline()
        with logged_failures():
            await self.host.runtime()
            left = await self.host.give_up(_refs_of(message, queue), deadline=deadline)
            if left:
                raise StorageError(
                    f"{len(left)} runs of a message could not be settled (function.not_settled in "
                    "the log says why): it is delivered again."
                )


def _refs_of(message: func.QueueMessage, queue: Queue) -> Sequence[RunRef]:
    """The runs or deliveries of a message; none if it is malformed, as it would be every time.

    The runtime has to be open, since that configures the log.
    """
    body = message.get_body()
    try:
        return decode_refs(body)
    except ValueError as error:
        logger.error(
            "A message was dropped because it names no runs",
            extra={
                "action": "function.message_malformed",
                "error": str(error)[:_EXCERPT],
                "message_id": message.id,
                "queue": str(queue),
                "size": len(body),
                "sha256": hashlib.sha256(body).hexdigest(),
            },
        )
        return []
