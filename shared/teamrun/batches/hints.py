"""Messages of the queue `hooks` that ask for a batch to be driven, for processes that are frozen.

No process of a cloud function listens for notices, so a batch would start when a timer finds it.
"""

import logging

from teamrun.batches.keys import BatchRef
from teamrun.core.refs import RunRef
from teamrun.dispatch.base import Dispatcher
from teamrun.dispatch.queues import Queue
from teamrun.errors import DeliveryError

__all__ = ["send_hint"]

logger = logging.getLogger(__name__)


async def send_hint(dispatcher: Dispatcher, ref: BatchRef) -> None:
    """Ask for a batch to be driven now; if that fails, a timer finds it."""
    try:
        await dispatcher.send([RunRef(ref.tenant, ref.batch_id)], queue=Queue.HOOKS)
    except DeliveryError as error:
        logger.info(
            "A batch could not be sent to the queue; the timer will find it",
            extra={
                "action": "batch.send_failed",
                "tenant": ref.tenant,
                "batch_id": ref.batch_id,
                "error": str(error),
            },
        )
