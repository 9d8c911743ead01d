"""One session with a server, kept open by a task of its own.

The scopes of the SDK belong to the task that opened them, and calls come from many tasks.
"""

import asyncio
import logging
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from teamrun.errors import McpServerError
from teamrun.tools.mcp.params import McpServerParams, StdioServerParams, secrets_of
from teamrun.tools.mcp.process import Stderr, redacted
from teamrun.tools.mcp.transport import open_transport
from teamrun.tools.result import error_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mcp import Client
    from mcp.client.session import SamplingFnT

__all__ = ["Connection"]

logger = logging.getLogger(__name__)

_keepers: Final[set[asyncio.Task[None]]] = set()
"""The loop itself refers to its tasks weakly."""

_MOST_IN_ERROR: Final = 500


class Connection:
    """A session with a server.

    Args:
        params: How the server is reached.
        name: The name of the server, for errors and logs.
        start_seconds: How long the start may take.
        idle_seconds: The session ends when it has not been used for so long; None: never.
        roots: Folders that the server is told about.
        sampling: Answers the server's requests to a model; None refuses them.
    """

    def __init__(
        self,
        params: McpServerParams,
        *,
        name: str,
        start_seconds: float,
        idle_seconds: float | None = None,
        roots: "Sequence[str]" = (),
        sampling: "SamplingFnT | None" = None,
    ) -> None:
        self._params = params
        self._name = name
        self._start_seconds = start_seconds
        self._idle_seconds = idle_seconds
        self._roots = tuple(Path(each).absolute() for each in roots)
        self._sampling = sampling
        self._secrets = secrets_of(params)
        self._stderr = Stderr(name, self._secrets)
        self._closing = asyncio.Event()
        self._in_use = 0
        self._last_use = monotonic()
        self._garbage = 0
        self._is_retired = False
        self._keeper: asyncio.Task[None] | None = None
        self._client: Client | None = None
        self.changes = 0
        """How often the server has said that its tools have changed."""
        self.has_listed = False
        """Its client has seen all tools."""
        self.is_lost = False
        """It takes no more requests."""

    @property
    def client(self) -> "Client":
        """The client of the SDK, after `open`."""
        assert self._client is not None, "it is open"
        return self._client

    async def open(self) -> None:
        """Start the server, or connect to it.

        Raises:
            McpServerError: It cannot be started or reached, or does not answer in time.
        """
        ready = asyncio.get_running_loop().create_future()
        self._keeper = asyncio.create_task(self._keep(ready), name=f"mcp {self._name}")
        _keepers.add(self._keeper)
        self._keeper.add_done_callback(_keepers.discard)
        try:
            await asyncio.wait({ready}, timeout=self._start_seconds)
            if not ready.done():
                raise self._failed(f"did not answer within {self._start_seconds:g} seconds")
            error: BaseException | None = ready.result()
        except BaseException:
            self.is_lost = True
            self._keeper.cancel()
            raise
        if error is not None:
            raise self._failed(f"could not be {self._reached}: {error_text(error)}") from error

    @property
    def _reached(self) -> str:
        return "started" if isinstance(self._params, StdioServerParams) else "reached"

    def _failed(self, what: str) -> McpServerError:
        hints = ""
        if self._garbage:
            hints += " It wrote lines to its standard output that are not messages of MCP."
        if self._stderr.lines:
            hints += (
                f" Its standard error ends with: {' | '.join(self._stderr.lines)[-_MOST_IN_ERROR:]}"
            )
        text = redacted(f"The MCP server {self._name!r} {what}.{hints}", self._secrets)
        logger.warning(
            "An MCP server failed",
            extra={"action": "mcp.server_failed", "server": self._name, "error": text},
        )
        return McpServerError(text, server=self._name)

    async def _keep(self, ready: "asyncio.Future[BaseException | None]") -> None:
        from mcp import Client

        transport = open_transport(
            self._params, server=self._name, stderr=self._stderr, ended=self._ended
        )
        listener: asyncio.Task[None] | None = None
        try:
            async with Client(
                transport,
                sampling_callback=self._sampling,
                list_roots_callback=self._list_roots if self._roots else None,
                message_handler=self._received,
                client_info=_client_info(),
                cache=None,
            ) as client:
                self._client = client
                listener = asyncio.create_task(self._listen(client))
                ready.set_result(None)
                try:
                    await self._until_closed()
                finally:
                    listener.cancel()
                    await asyncio.wait({listener})
        except Exception as error:  # whatever the SDK, its transports and the server have caused
            if not ready.done():
                ready.set_result(error)
            elif not self._closing.is_set():
                logger.info(
                    "The session with an MCP server has ended",
                    extra={"action": "mcp.session_ended", "server": self._name},
                    exc_info=error if logger.isEnabledFor(logging.DEBUG) else None,
                )
        finally:
            self.is_lost = True
            if not ready.done():
                ready.set_result(ConnectionError("its start was interrupted"))

    async def _until_closed(self) -> None:
        while not self._closing.is_set():
            try:
                async with asyncio.timeout(self._idle_seconds):
                    await self._closing.wait()
            except TimeoutError:
                idle = monotonic() - self._last_use
                assert self._idle_seconds is not None, "there is no timeout without it"
                if not self._in_use and idle >= self._idle_seconds / 2:
                    break
        self.is_lost = True

    async def _listen(self, client: "Client") -> None:
        """Notice changes of servers that announce them to listeners alone (2026-07-28)."""
        from mcp.client.subscriptions import ListenNotSupportedError, SubscriptionLost
        from mcp.shared.exceptions import MCPError

        tools = client.server_capabilities.tools
        if tools is None or not tools.list_changed:
            return
        with suppress(ListenNotSupportedError, SubscriptionLost, MCPError, TimeoutError):
            async with client.listen(tools_list_changed=True) as events:
                async for _ in events:
                    self.changes += 1

    async def _received(self, message: Any) -> None:
        from mcp_types import ToolListChangedNotification

        if isinstance(message, ToolListChangedNotification):
            self.changes += 1
        elif isinstance(message, Exception):
            self._garbage += 1

    async def _list_roots(self, context: Any) -> Any:
        from mcp_types import ListRootsResult, Root

        return ListRootsResult(
            roots=[
                Root(uri=each.as_uri(), name=each.name)  # pyright: ignore[reportArgumentType] - read from a text
                for each in self._roots
            ]
        )

    def _ended(self) -> None:
        self.is_lost = True

    @contextmanager
    def use(self) -> Generator["Client"]:
        """Keep the session open while a request is under way."""
        self._in_use += 1
        try:
            yield self.client
        finally:
            self._in_use -= 1
            self._last_use = monotonic()
            if self._is_retired and not self._in_use:
                self.close()

    def retire(self) -> None:
        """Take no more requests, and end when those under way have ended."""
        self.is_lost = self._is_retired = True
        if not self._in_use:
            self.close()

    def close(self) -> None:
        """End the session; a process is given some seconds to exit, then it is killed."""
        self.is_lost = True
        self._closing.set()

    @property
    def is_over(self) -> bool:
        """Whether the session and its process have ended."""
        return self._keeper is None or self._keeper.done()

    async def closed(self) -> None:
        """Return when the session has ended after `close`, with its process."""
        if self._keeper is not None:
            await asyncio.wait({self._keeper})


def _client_info() -> Any:
    from mcp_types import Implementation

    from teamrun.version import __version__

    return Implementation(name="teamrun", version=__version__)
