"""A run in this process: the engine of a worker over a store in memory.

`teamrun run` uses it, so that a definition is executed by the same code as in a service.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final, TypeVar

from teamrun.components.registry import Registry
from teamrun.errors import UsageError
from teamrun.json_types import JsonObject
from teamrun.live.memory import MemoryLive
from teamrun.runs.log.observers import warn_of_failure
from teamrun.runs.log.status import RequiredAction
from teamrun.runs.service.requests import Answer, RunRequest
from teamrun.runs.service.resources import Delta, Event, Run
from teamrun.runs.service.service import RunService
from teamrun.runtime import Backends, compose
from teamrun.storage.memory import MemoryStore

__all__ = ["RunHere", "failures_shown_here", "run_here"]

ResultT = TypeVar("ResultT")

_TENANT: Final = "default"
_SWEEP: Final = timedelta(seconds=1)
"""The interval between checks of a run that waits for an answer, a retry or a timeout."""


@contextmanager
def failures_shown_here() -> Generator[None]:
    """Keep failed runs out of the log of this process: the command shows them itself."""

    def is_other(record: logging.LogRecord) -> bool:
        return record.funcName != warn_of_failure.__name__

    logger = logging.getLogger(warn_of_failure.__module__)
    logger.addFilter(is_other)
    try:
        yield
    finally:
        logger.removeFilter(is_other)


class RunHere:
    """One run of this process; implements `Prompter` for other threads than the event loop's."""

    def __init__(self, service: RunService, run_id: str) -> None:
        self._service = service
        self._run_id = run_id
        self._loop = asyncio.get_running_loop()
        self._is_closed = False

    def action(self, action_id: str) -> RequiredAction | None:
        """The question; None if it is not open."""
        if self._is_closed:
            return None
        actions = self._result(self.run()).required_actions
        return next((each for each in actions if each.id == action_id), None)

    def answer(self, action_id: str, answer: JsonObject) -> None:
        """Give the answer."""
        given = Answer.model_validate({"action_id": action_id, **answer})
        self._result(self._service.answer(_TENANT, self._run_id, given))

    def left_open(self, action: RequiredAction) -> None:
        """Refuse to go on, unless the question expires by itself.

        Raises:
            UsageError: The run would wait for ever.
        """
        if action.expires_at is not None:
            return
        approve = ", approve every tool call with --yes" if action.type == "approval" else ""
        agent, prompt = action.id.rpartition("/")[0], action.prompt.strip()
        raise UsageError(
            f"{agent} needs an answer from a person ({prompt!r}) and got none. Run the team at a "
            f"terminal{approve}, or as a job: `teamrun submit`, then `teamrun answer`."
        )

    async def run(self) -> Run:
        """The run as it is now."""
        return await self._service.get(_TENANT, self._run_id)

    async def follow(self) -> AsyncGenerator[Event | Delta, None]:
        """Events and pieces of text as they come, to the end of the run."""
        async for item in self._service.follow(_TENANT, self._run_id):
            yield item

    def close(self) -> None:
        """Take every question for closed, so that a thread that waits for an answer ends."""
        self._is_closed = True

    def _result(self, call: Coroutine[Any, Any, ResultT]) -> ResultT:
        return asyncio.run_coroutine_threadsafe(call, self._loop).result()


async def run_here(
    registry: Registry, request: RunRequest, attend: Callable[[RunHere], Awaitable[ResultT]]
) -> ResultT:
    """Execute a run in this process; what `attend` returns is the result.

    Args:
        registry: The models, tools and teams.
        request: The run.
        attend: Follows the run to its end. The run is given up when it raises.

    Raises:
        DefinitionError: The team is unknown, or its definition is invalid.
    """
    runtime = compose(Backends(MemoryStore(), MemoryLive(), None), registry, sweep=_SWEEP)
    assert runtime.executor is not None, "a process without a queue executes its runs"
    runtime.executor.start()
    try:
        run = (await runtime.service.submit(_TENANT, request)).run
        here = RunHere(runtime.service, run.id)
        try:
            return await attend(here)
        finally:
            here.close()
    finally:
        await runtime.shutdown(timedelta())
