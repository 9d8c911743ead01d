"""The function that executes runs, called by the event source mappings of the queues of runs."""

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any

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


def handler(event: Mapping[str, Any], context: Context) -> dict[str, list[dict[str, str]]]:
    """Execute the runs that messages name, all at the same time.

    A run that has to be tried again, such as one that another instance executes, gets a new message
    that is delayed. So the receipts of a message, which SQS counts, are attempts that failed.

    Returns:
        The messages to be delivered again, as a partial batch response: the new message of one of
        their runs could not be sent, or the log of one is damaged.

    Raises:
        TeamrunError: The function is misconfigured, or the store does not respond. SQS delivers
            all messages again.
    """

    async def execute(deadline: datetime) -> dict[str, list[dict[str, str]]]:
        return batch_answer(await _execute(event, deadline))

    return instance.run(execute, context)


async def _execute(event: Mapping[str, Any], deadline: datetime) -> list[Message]:
    queues = queues_of(await instance.host.runtime())
    messages = messages_of(event)
    refs = dict.fromkeys(ref for message in messages for ref in message.refs)
    outcomes = await instance.host.execute([*refs], deadline=deadline)
    pauses = {outcome.ref: outcome.pause for outcome in outcomes if outcome.pause is not None}
    # SQS counts the receipts of this message and moves it to the dead letters; a new one has none.
    unreadable = {outcome.ref for outcome in outcomes if outcome.is_unreadable}
    failed: list[Message] = []
    for message in messages:
        if not unreadable.isdisjoint(message.refs):
            failed.append(message)
            continue
        queue = message.runs_on()
        try:
            for ref in message.refs:
                if (pause := pauses.get(ref)) is not None:
                    await queues.send_later([ref], queue=queue, delay=message.delay(pause))
                    del pauses[ref]  # one message for each run is enough
        except DeliveryError as error:
            logger.warning(
                "A message is delivered again after the visibility timeout of its queue",
                extra={"action": "function.not_sent_later", "error": str(error)},
            )
            failed.append(message)
    return failed
