"""The function that does what background tasks do elsewhere.

A schedule of EventBridge calls it each minute, and the event source mapping of the queue `hooks`
with deliveries to make at once.
"""

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from teamrun_infra.aws.executing import batch_answer, messages_of, open_executing
from teamrun_infra.aws.instance import Context, Instance

__all__ = ["handler", "instance"]

logger = logging.getLogger(__name__)

instance = Instance(open_executing)


def handler(event: Mapping[str, Any], context: Context) -> dict[str, list[dict[str, str]]]:
    """Make the deliveries that messages name; without messages, look for everything that is due.

    A message of the queue `hooks` is a hint: a delivery that was not made is found by the schedule,
    so no message is returned.

    Raises:
        TeamrunError: The function is misconfigured, or the store does not respond.
    """

    async def look(deadline: datetime) -> None:
        await instance.host.runtime()
        if not isinstance(event, dict) or "Records" in event:
            await _deliver(event, deadline)
        else:
            await instance.host.look_around(deadline=deadline)

    instance.run(look, context)
    return batch_answer([])


async def _deliver(event: Mapping[str, Any], deadline: datetime) -> None:
    refs = dict.fromkeys(ref for message in messages_of(event) for ref in message.refs)
    try:
        await instance.host.deliver([*refs], deadline=deadline)
    except TimeoutError:
        logger.info(
            "An invocation ends before its deliveries; the schedule makes them",
            extra={"action": "function.undelivered"},
        )
