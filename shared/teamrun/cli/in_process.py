"""A run in this process: the engine of a worker over a store in memory.

`teamrun run` uses it, so that whatever a definition promises is kept by the same code as in a
service.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, Final, TypeVar

from teamrun.components.registry import Registry
from teamrun.core.refs import RunRef
from teamrun.errors import UsageError
from teamrun.live.memory import MemoryLive
from teamrun.runs.durable.team import team_program
from teamrun.runs.engine.engine import Engine
from teamrun.runs.engine.execution import Finish
from teamrun.runs.log.status import RequiredAction
from teamrun.runs.service.requests import Answer, RunRequest
from teamrun.runs.service.resources import Delta, Event, Run
from teamrun.runs.service.service import RunService
from teamrun.storage.memory import MemoryStore

__all__ = ["RunHere", "run_here"]

ResultT = TypeVar("ResultT")

_TENANT: Final = "default"
_LOOK_S: Final = 1.0
"""Seconds between looks at a run that waits: a question may expire, a retry may be due."""
_ABORT_S: Final = 5.0
"""Seconds that calls under way get to end after Ctrl-C."""


class _Knock:
    """Implements `Dispatcher` for one run: asks for another look at it."""

    def __init__(self) -> None:
        self._knocked = asyncio.Event()

    async def send(self, ref: RunRef) -> None:
        """Ask for a look."""
        self._knocked.set()

    async def wait(self, seconds: float) -> None:
        """Return when a look was asked for, at the latest after `seconds`."""
        # Not `wait_for`: before Python 3.12 it loses a cancel that comes together with the event.
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._knocked.wait()
        self._knocked.clear()

    async def close(self) -> None:
        """There is nothing to release."""


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

    def answer(self, action_id: str, answer: dict[str, Any]) -> None:
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
    store, live, knock = MemoryStore(), MemoryLive(), _Knock()
    service = RunService(store=store, live=live, dispatcher=knock, registry=registry)
    engine = Engine(
        store=store, live=live, dispatcher=knock, program=team_program(registry), owner="run"
    )
    try:
        run = (await service.submit(_TENANT, request)).run
        here = RunHere(service, run.id)
        executing = asyncio.create_task(_execute(engine, RunRef(_TENANT, run.id), knock))
        attending = asyncio.ensure_future(attend(here))
        try:
            await asyncio.wait({executing, attending}, return_when=asyncio.FIRST_EXCEPTION)
            if executing.done():
                executing.result()
            return attending.result()
        finally:
            here.close()
            await _end(engine, executing, attending)
    finally:
        await engine.close()
        await service.close()


async def _execute(engine: Engine, ref: RunRef, knock: _Knock) -> None:
    while await engine.execute(ref) is not Finish.ENDED:
        await knock.wait(_LOOK_S)


async def _end(engine: Engine, *tasks: asyncio.Future[Any]) -> None:
    engine.abort()
    with suppress(TimeoutError):
        async with asyncio.timeout(_ABORT_S):
            await engine.drained()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
