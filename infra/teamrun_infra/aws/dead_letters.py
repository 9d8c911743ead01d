"""The function that settles messages which SQS has moved to the queue of dead letters."""

import asyncio
import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from teamrun.dispatch.sqs import SqsLink
from teamrun.errors import DeliveryError
from teamrun_infra.aws.executing import (
    Message,
    batch_answer,
    messages_of,
    open_executing,
    queues_of,
)
from teamrun_infra.aws.instance import Context, Instance

__all__ = ["handler", "instance"]

logger = logging.getLogger(__name__)

instance = Instance(open_executing)

_PAUSE_S: Final = 60
"""When a message is tried again whose run could not be settled."""


def handler(event: Mapping[str, Any], context: Context) -> dict[str, list[dict[str, str]]]:
    """Settle the runs that messages name; see `DeadLetters.settle`. It can be repeated.

    Returns:
        The messages to be delivered again: the store or the queue did not respond, or not in time.

    Raises:
        TeamrunError: The function is misconfigured, or the store does not respond.
    """

    async def settle(deadline: datetime) -> dict[str, list[dict[str, str]]]:
        link = queues_of(await instance.host.runtime()).link
        messages = messages_of(event)
        refs = dict.fromkeys(ref for message in messages for ref in message.refs)
        left = set(await instance.host.give_up([*refs], deadline=deadline))
        failed = [message for message in messages if not left.isdisjoint(message.refs)]
        await asyncio.gather(*(_hide(each, link) for each in failed))
        return batch_answer(failed)

    return instance.run(settle, context)


async def _hide(message: Message, link: SqsLink) -> None:
    try:
        await link.hide(message.receipt, queue=message.queue, seconds=_PAUSE_S)
    except DeliveryError as error:
        logger.warning(
            "A message is returned after the visibility timeout of its queue",
            extra={"action": "function.pause_not_set", "error": str(error)},
        )
