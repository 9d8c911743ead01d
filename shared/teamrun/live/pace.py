"""Passes on what other processes publish about the pace of model profiles."""

import asyncio
from datetime import timedelta

from teamrun.errors import DeliveryError
from teamrun.live.base import PubSub
from teamrun.models.pacing.base import PACE_TOPIC
from teamrun.models.pacing.pacing import Pacing

__all__ = ["follow_pace"]

_PAUSE = timedelta(seconds=5)


async def follow_pace(live: PubSub, pacing: Pacing, *, pause: timedelta = _PAUSE) -> None:
    """Engage each profile whose server has rejected a call of any process, until cancelled.

    Args:
        live: Where the names of the profiles are published.
        pacing: Of this process.
        pause: How long to wait before a lost subscription is renewed.
    """
    while True:
        try:
            async with live.subscribe(PACE_TOPIC) as profiles:
                async for profile in profiles:
                    pacing.engage(profile.decode(errors="replace"))
        except DeliveryError:
            pass  # a rejection of this process's own calls engages a profile as well
        await asyncio.sleep(pause.total_seconds())
