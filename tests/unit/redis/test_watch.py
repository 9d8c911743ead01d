"""One warning if Redis cannot be used, and one when it can be used again."""

import asyncio
import logging
from collections.abc import Iterator
from datetime import timedelta

import pytest

from teamrun.errors import DeliveryError
from teamrun.redis.watch import watch_redis


async def watched(answers: str) -> None:
    """Watch a server that is away (`.`) or there (`+`) at each question."""
    ended = asyncio.Event()
    asked: Iterator[str] = iter(answers)

    async def ping() -> None:
        answer = next(asked, None)
        if answer is None:
            ended.set()
            await asyncio.Event().wait()
        if answer == ".":
            raise DeliveryError("away")

    watching = asyncio.create_task(watch_redis(ping, pause=timedelta()))
    await ended.wait()
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)


@pytest.mark.parametrize(
    ("answers", "actions"),
    [
        ("+++", []),
        ("...", ["redis.unavailable"]),
        ("..++", ["redis.unavailable", "redis.available"]),
        ("+..+.", ["redis.unavailable", "redis.available", "redis.unavailable"]),
    ],
)
async def test_each_outage_is_logged_once_and_so_is_its_end(
    answers: str, actions: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        await watched(answers)

    assert [vars(record)["action"] for record in caplog.records] == actions
