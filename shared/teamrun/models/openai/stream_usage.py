"""Usage in streams: OpenAI's protocol sends it on request only, and some servers refuse that."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from teamrun.core.cancellation import CancellationToken
from teamrun.errors import ModelError
from teamrun.json_types import JsonMapping, JsonObject
from teamrun.messages.llm import CreateResult
from teamrun.models.attempt import Calls
from teamrun.models.openai.request import Request

__all__ = ["UsageInStreams"]

_NAMES = ("stream_options", "streamOptions", "include_usage", "includeUsage")
"""Names by which servers refuse `stream_options` if they do not support it."""


class UsageInStreams:
    """Calls with the right `stream_options`.

    Args:
        calls: Sends the requests.
        is_wanted: Ask for usage, unless the options say otherwise.
        options: The client's `stream_options`.
    """

    def __init__(
        self, calls: Calls[Request], *, is_wanted: bool, options: JsonMapping | None
    ) -> None:
        self._calls = calls
        self._options: JsonMapping = {"include_usage": is_wanted, **(options or {})}
        self._are_refused = False

    async def create(self, request: Request, token: CancellationToken | None) -> CreateResult:
        """Call once; a whole answer always has its usage."""
        request.body.pop("stream_options", None)
        return await self._calls.create(request, token)

    async def stream(
        self, request: Request, token: CancellationToken | None
    ) -> AsyncGenerator[str | CreateResult, None]:
        """Call once; without `stream_options`, a second time if the server refused them."""
        self._set_options(request.body)
        spoken = False
        while True:
            try:
                async with aclosing(self._calls.stream(request, token)) as pieces:
                    async for piece in pieces:
                        spoken = True
                        yield piece
                return
            except ModelError as error:
                if spoken or not self._drops_options(request.body, error):
                    raise

    async def close(self) -> None:
        """Close the connections of the running event loop."""
        await self._calls.close()

    def _set_options(self, body: JsonObject) -> None:
        """A call's options replace the client's one by one; what is false is left out."""
        given: JsonMapping = body.pop("stream_options", {})
        options = {**self._options, **given}
        if not options["include_usage"]:
            del options["include_usage"]  # false is the API's default
        if options and not self._are_refused:
            body["stream_options"] = options

    def _drops_options(self, body: JsonObject, error: ModelError) -> bool:
        """Whether the server refused `stream_options`: it gets none from now on."""
        refused = error.status_code in (400, 422) and any(name in error.message for name in _NAMES)
        if refused and "stream_options" in body:
            self._are_refused = True
            del body["stream_options"]
            return True
        return False
