"""A cache of tool results: a repeated call with the same arguments gets the result of the first.

The cache belongs to one process. In a run, a result of the cache is recorded like any other, so a
replay does not depend on what a cache still has.
"""

import json
import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256
from typing import Final, NamedTuple

from teamrun.core.cancellation import CancellationToken
from teamrun.core.shared_calls import SharedCalls
from teamrun.errors import UsageError
from teamrun.json_types import JsonMapping
from teamrun.tools.base import StreamTool, Tool
from teamrun.tools.context import ToolContext
from teamrun.tools.function import FunctionTool
from teamrun.tools.schema import ToolSchema

__all__ = ["CachedTool", "ResultCache"]

_MOST_RESULTS: Final = 1000
_LONGEST_RESULT: Final = 65_536
"""Characters; a longer result is not kept, so that the cache stays below 64 MB of ASCII text."""
_KEPT: Final = timedelta(hours=1)


class _Key(NamedTuple):
    tenant: str
    tool: str
    version: str
    arguments: str
    """sha256 of their JSON: arguments of any length take the same room."""


class ResultCache:
    """Results of tools, for at most an hour; the least recently used ones are dropped first.

    Args:
        clock: Seconds of a clock that never goes back.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._results: OrderedDict[_Key, tuple[float, str]] = OrderedDict()
        self.running: Final[SharedCalls[str]] = SharedCalls()
        """The calls whose results are not known yet."""

    def get(self, key: _Key) -> str | None:
        """The result, if it is still kept."""
        kept = self._results.get(key)
        if kept is None:
            return None
        until, text = kept
        if self._clock() >= until:
            del self._results[key]
            return None
        self._results.move_to_end(key)
        return text

    def put(self, key: _Key, text: str) -> None:
        """Keep a result."""
        if len(text) > _LONGEST_RESULT:
            return
        self._results[key] = (self._clock() + _KEPT.total_seconds(), text)
        self._results.move_to_end(key)
        if len(self._results) > _MOST_RESULTS:
            self._results.popitem(last=False)


class CachedTool(Tool):
    """A tool whose results are kept per tenant, tool, version and arguments; failures are not.

    Equal calls at the same time are made once, and all get the result or the failure. The call
    ends early only when all its callers are cancelled. Its value is the text that the model
    receives.

    Args:
        tool: A tool whose calls have no side effects and depend on nothing but their arguments.
        cache: Shared by the tools of a process.
        version: Identifies the tool's registration: another version has results of its own.

    Raises:
        UsageError: The tool has side effects, a session, a state or a `ToolContext`.
    """

    def __init__(self, tool: Tool, cache: ResultCache, *, version: str = "") -> None:
        if (why := _why_not(tool)) is not None:
            raise UsageError(f"The results of {tool.name!r} cannot be cached: it {why}.")
        super().__init__(tool.name, tool.description)
        self._inner = tool
        self._cache = cache
        self._version = version
        self.needs_approval = tool.needs_approval

    @property
    def schema(self) -> ToolSchema:
        """The tool as a model sees it."""
        return self._inner.schema

    async def run_json(
        self,
        args: JsonMapping,
        cancellation_token: CancellationToken | None = None,
        *,
        call_id: str | None = None,
        context: ToolContext | None = None,
    ) -> str:
        """The kept result; without one, call the tool, or wait for an equal call that runs.

        Raises:
            asyncio.CancelledError: This call was cancelled.
            Exception: Any exception of the tool.
        """
        tenant = "" if context is None else context.tenant
        arguments = sha256(json.dumps(args, sort_keys=True).encode()).hexdigest()
        key = _Key(tenant, self.name, self._version, arguments)
        kept = self._cache.get(key)
        if kept is not None:
            return kept

        async def called(token: CancellationToken) -> str:
            value = await self._inner.run_json(args, token, call_id=call_id, context=context)
            text = self._inner.return_value_as_string(value)
            self._cache.put(key, text)
            return text

        return await self._cache.running.call(key, called, cancellation_token)

    def return_value_as_string(self, value: object) -> str:
        """The text."""
        return str(value)


def _why_not(tool: Tool) -> str | None:
    if tool.effects != "none":
        return f"has effects: {tool.effects!r}"
    if tool.session != "stateless":
        return "needs a session"
    if isinstance(tool, StreamTool):
        return "is an agent or a team"
    if not isinstance(tool, FunctionTool):
        return "is not a function"
    return (
        "takes a ToolContext, whose state and files a kept result has not"
        if (tool.takes_context)
        else None
    )
