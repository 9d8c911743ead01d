"""Requests of clients to some API process: they may be lost, or carried out without an answer."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from tests.simulation.deployment import Deployment
from tests.simulation.processes import Api
from tests.simulation.world import Died

from teamrun.errors import Unavailable

__all__ = ["Line", "NoAnswer"]

T = TypeVar("T")

_PATIENCE = 20.0


class NoAnswer(Exception):
    """The request may have been carried out, or not."""


class Line:
    """The way from the clients of a world to its APIs."""

    def __init__(self, world: Deployment) -> None:
        self._world = world
        self._rng = world.rng
        self._keys = 0

    def key(self) -> str:
        """A new idempotency key."""
        self._keys += 1
        return f"key-{self._keys}"

    async def pause(self, *seconds: float) -> None:
        """Wait for one of these times."""
        await asyncio.sleep(self._rng.choice(seconds))

    async def request(self, call: Callable[[Api], Awaitable[T]]) -> T:
        """Send a request to some API process.

        Raises:
            NoAnswer: The outcome is unknown.
            TeamrunError: The error of the API.
        """
        api = self._world.some_api()
        if api is None:
            raise NoAnswer
        handler = asyncio.ensure_future(self._handle(api, call))
        await asyncio.wait([handler], timeout=_PATIENCE)
        if not handler.done():  # it continues without a reader
            handler.add_done_callback(_forget)
            raise NoAnswer
        try:
            result = handler.result()
        except (Died, Unavailable) as error:
            raise NoAnswer from error
        if self._rng.random() < self._world.weather.answer_lost:
            raise NoAnswer
        return result

    async def _handle(self, api: Api, call: Callable[[Api], Awaitable[T]]) -> T:
        await api.point()
        result = await call(api)
        await api.point()
        return result

    async def insist(self, call: Callable[[Api], Awaitable[T]]) -> T:
        """The same until there is an answer."""
        while True:
            try:
                return await self.request(call)
            except NoAnswer:
                await self.pause(0.2, 1.0, 3.0)


def _forget(task: "asyncio.Task[T]") -> None:
    if not task.cancelled():
        task.exception()
