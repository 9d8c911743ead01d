"""The function that executes runs, called by the event source mappings of the queues of runs."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from teamrun_infra.aws.executing import (
    Message,
    batch_answer,
    messages_of,
    open_executing,
    return_later,
)
from teamrun_infra.aws.instance import Context, Instance

__all__ = ["handler", "instance"]

instance = Instance(open_executing)


def handler(event: Mapping[str, Any], context: Context) -> dict[str, list[dict[str, str]]]:
    """Execute the runs that messages name, all at the same time.

    Returns:
        The messages to be delivered again, as a partial batch response: another instance executes
        one of their runs, or the store did not respond.

    Raises:
        TeamrunError: The function is misconfigured, or the store does not respond. SQS delivers
            all messages again.
    """

    async def execute(deadline: datetime) -> dict[str, list[dict[str, str]]]:
        return batch_answer(await _execute(event, deadline))

    return instance.run(execute, context)


async def _execute(event: Mapping[str, Any], deadline: datetime) -> list[Message]:
    runtime = await instance.host.runtime()
    messages = messages_of(event)
    refs = dict.fromkeys(ref for message in messages for ref in message.refs)
    outcomes = await instance.host.execute([*refs], deadline=deadline)
    pauses = {outcome.ref: outcome.pause for outcome in outcomes if outcome.pause is not None}
    returned: dict[Message, timedelta] = {}
    for message in messages:
        if left := [pauses[ref] for ref in message.refs if ref in pauses]:
            returned[message] = min(left)
    await return_later(runtime, returned)
    return [*returned]
