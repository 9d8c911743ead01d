"""The function that serves the HTTP API, called by an HTTP API or a function URL."""

from datetime import UTC, datetime
from functools import partial

from teamrun.json_types import JsonObject
from teamrun_api.settings import ApiSettings
from teamrun_infra.aws.http_events import respond
from teamrun_infra.aws.instance import Context, Instance, read_settings
from teamrun_infra.serving import Served

__all__ = ["handler", "instance"]

_served = Served(
    partial(read_settings, ApiSettings, buffered=True),
    remedy="Set it, or put it into a secret of TEAMRUN_SECRET_ENV.",
)

instance = Instance(_served.open)


def handler(event: object, context: Context) -> JsonObject:
    """Answer a request.

    Returns:
        The answer, in version 2.0 of the payload format.

    Raises:
        TeamrunError: The function is misconfigured, or the store does not respond.
    """

    async def answer(deadline: datetime) -> JsonObject:
        await instance.host.runtime()
        left = (deadline - datetime.now(UTC)).total_seconds()
        found = await respond(_served.app, event, seconds=left)
        await instance.host.settle(deadline)
        return found

    return instance.run(answer, context)
