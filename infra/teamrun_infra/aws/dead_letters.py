"""The function that settles messages which SQS has moved to the queue of dead letters."""

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from teamrun.errors import DeliveryError, StorageError
from teamrun_infra.aws.executing import (
    Message,
    batch_answer,
    messages_of,
    open_executing,
    return_later,
)
from teamrun_infra.aws.instance import Context, Instance

__all__ = ["handler", "instance"]

logger = logging.getLogger(__name__)

instance = Instance(open_executing)

_PAUSE = timedelta(minutes=1)
"""When a message is tried again whose run could not be settled."""


def handler(event: Mapping[str, Any], context: Context) -> dict[str, list[dict[str, str]]]:
    """Settle the runs that messages name; see `DeadLetters.settle`. It can be repeated.

    Returns:
        The messages to be delivered again: the store or the queue did not respond.

    Raises:
        TeamrunError: The function is misconfigured, or the store does not respond.
    """

    async def settle(deadline: datetime) -> dict[str, list[dict[str, str]]]:
        runtime = await instance.host.runtime()
        failed = [each for each in messages_of(event) if not await _settle(each, deadline)]
        await return_later(runtime, dict.fromkeys(failed, _PAUSE))
        return batch_answer(failed)

    return instance.run(settle, context)


async def _settle(message: Message, deadline: datetime) -> bool:
    try:
        await instance.host.give_up(message.refs, deadline=deadline)
    except (StorageError, DeliveryError) as error:
        logger.warning(
            "A dead letter could not be settled; it is tried again",
            extra={"action": "function.not_settled", "error": str(error)},
        )
        return False
    return True
