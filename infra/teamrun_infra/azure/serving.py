"""The HTTP API as an ASGI application that opens its runtime at the first request."""

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from starlette.types import Receive, Scope, Send

from teamrun_api.settings import ApiSettings
from teamrun_infra.azure.settings import read_settings
from teamrun_infra.functions import FunctionHost
from teamrun_infra.serving import Served
from teamrun_infra.settings import logged_failures

__all__ = ["Serving"]

_RESPONSE_LIMIT: Final = timedelta(seconds=230)
"""After which the load balancer of Azure ends a request, whatever the time limit.
Source: https://learn.microsoft.com/en-us/azure/azure-functions/functions-scale#timeout"""


class Serving:
    """The API of one process, over a runtime that its first request opens."""

    def __init__(self) -> None:
        self._served = Served(
            partial(read_settings, ApiSettings, buffered=True),
            remedy="Set it, for example to a reference to a secret of Key Vault.",
        )
        self.host = FunctionHost(self._served.open)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request.

        Raises:
            TeamrunError: The function is misconfigured, or the store does not respond.
        """
        if scope["type"] == "lifespan":
            await _live(receive, send)
            return
        deadline = datetime.now(UTC) + _RESPONSE_LIMIT
        with logged_failures():
            await self.host.runtime()
        await self._served.app(scope, receive, send)
        await self.host.settle(deadline)


async def _live(receive: Receive, send: Send) -> None:
    """The lifespan protocol; the runtime needs no end, since the platform gives it none."""
    while True:
        kind = (await receive())["type"]
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return
