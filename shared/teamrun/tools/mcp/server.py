"""A server, with its sessions: one that all share, or one for each owner."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn, TypeVar

from teamrun.core.optional import require
from teamrun.core.patience import Expired, within
from teamrun.errors import McpServerError, SessionLost, ToolTimeout
from teamrun.tools.base import Effects, OnLost, OnUnknown, Session
from teamrun.tools.mcp.connection import Connection
from teamrun.tools.mcp.params import McpServerParams, call_seconds, secrets_of
from teamrun.tools.mcp.process import redacted
from teamrun.tools.mcp.results import tool_result
from teamrun.tools.result import ToolResult, error_text

if TYPE_CHECKING:
    import mcp_types
    from mcp import Client
    from mcp.client.session import SamplingFnT

__all__ = ["ListedTool", "ListedTools", "McpServer", "ServerConduct"]

T = TypeVar("T")

_MOST_PAGES: Final = 100
_IDLE_SECONDS: Final = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConduct:
    """How the tools of a server behave in a run."""

    effects: Effects | None = None
    """Of all its tools; None reads the annotations of each, which a server may leave out."""
    on_unknown: OnUnknown = "tell"
    session: Session = "stateless"
    on_lost: OnLost = "tell"
    approval: bool = False
    start_seconds: float = 30.0
    call_seconds: float | None = None
    """None: the time of the parameters."""
    most_characters: int = 1_000_000
    """The size of a result that is accepted."""
    roots: Sequence[str] = ()


class ListedTool(NamedTuple):
    """A tool as a server describes it."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    effects: Effects


class ListedTools(NamedTuple):
    """The tools of a server, and how often they had changed when they were listed."""

    tools: list[ListedTool]
    changes: int


class McpServer:
    """A server and its sessions.

    A session is opened at the first request. A `stateless` server has one that everything in this
    process shares; it is opened again when it was lost, and ends after five minutes without use. A
    `stateful` server has one for each owner, which ends with `close`.

    Args:
        params: How the server is reached.
        name: The name of the server, for errors and logs.
        conduct: How its tools behave.
        sampling: Answers the server's requests to a model; None refuses them.

    Raises:
        MissingPackage: The package `mcp` is not installed.
    """

    def __init__(
        self,
        params: McpServerParams,
        *,
        name: str = "mcp",
        conduct: ServerConduct | None = None,
        sampling: "SamplingFnT | None" = None,
    ) -> None:
        require("mcp", extra="mcp", needed_by=f"The MCP server {name!r}", lowest=(2,))
        self.params = params
        self.name = name
        self.conduct = conduct or ServerConduct()
        self._sampling = sampling
        self._secrets = secrets_of(params)
        self._connections: dict[object, Connection] = {}
        self._opening: dict[object, asyncio.Task[Connection]] = {}
        self._retired: list[Connection] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._changes = 0
        """Of the shared sessions that have ended."""

    async def list_tools(self, owner: object = None) -> ListedTools:
        """All tools of the server, of all its pages.

        Raises:
            McpServerError: It cannot be reached, or refuses.
        """
        tools = [self.listed(tool) for tool in await self.described_tools(owner)]
        return ListedTools(tools, self.changes(owner))

    async def described_tools(self, owner: object = None) -> "list[mcp_types.Tool]":
        """All tools of the server as the SDK describes them.

        Raises:
            McpServerError: It cannot be reached, or refuses.
        """
        return await self.ask(_all_tools, owner=owner, what="list its tools", again=True)

    def listed(self, tool: "mcp_types.Tool") -> ListedTool:
        """A tool as a run records it."""
        parameters: dict[str, Any] = {"type": "object", "properties": {}, **tool.input_schema}
        effects = self.conduct.effects or _effects(tool.annotations)
        return ListedTool(tool.name, tool.description or tool.title or "", parameters, effects)

    def changes(self, owner: object = None) -> int:
        """How often the tools have changed, as far as this process knows."""
        key = self._key(owner)
        connection = self._connections.get(key)
        ended = self._changes if key is None else 0
        return ended + (0 if connection is None else connection.changes)

    def info(self, owner: object = None) -> "mcp_types.Implementation | None":
        """What the server says of itself; None if it says nothing or is not connected."""
        connection = self._connections.get(self._key(owner))
        return None if connection is None else connection.client.server_info

    @property
    def sessions(self) -> int:
        """How many sessions there are."""
        return len(self._connections)

    def announces_changes(self, owner: object = None) -> bool:
        """Whether the server says when its tools have changed."""
        connection = self._connections.get(self._key(owner))
        if connection is None or connection.is_lost:
            return False
        tools = connection.client.server_capabilities.tools
        return tools is not None and bool(tools.list_changed)

    def _key(self, owner: object) -> object:
        return owner if self.conduct.session == "stateful" else None

    async def call_tool(
        self,
        name: str,
        arguments: Mapping[str, Any],
        *,
        owner: object = None,
        effects: Effects = "write",
        progress: Callable[[str, float | None], None] | None = None,
    ) -> ToolResult:
        """Call a tool.

        Args:
            name: As the server calls it.
            arguments: The arguments.
            owner: Whose session it is, for a stateful server.
            effects: A call without effects is made again if its session is lost.
            progress: Takes the server's reports: a text, and the percentage if it is known.

        Raises:
            McpServerError: The server cannot be reached, refuses, or returns too much.
            SessionLost: The session of the owner was lost.
            ToolTimeout: The server did not answer in time; the call was cancelled.
        """
        told = progress

        async def report(progress: float, total: float | None, message: str | None) -> None:
            assert told is not None
            told(message or "", None if not total else 100 * progress / total)

        async def act(client: "Client") -> "mcp_types.CallToolResult":
            return await client.call_tool(
                name, dict(arguments), progress_callback=report if told else None
            )

        what = f"call {name!r}"
        result = await self.ask(
            act, owner=owner, what=what, again=effects != "write", needs_list=True
        )
        most = self.conduct.most_characters
        return tool_result(name, result, server=self.name, most_characters=most)

    async def ask(
        self,
        act: "Callable[[Client], Awaitable[T]]",
        *,
        owner: object = None,
        what: str,
        again: bool = False,
        needs_list: bool = False,
    ) -> T:
        """Make a request.

        Args:
            act: Makes it, with a client of the SDK.
            owner: Whose session it is, for a stateful server.
            what: What the server is asked to do, for an error.
            again: Whether it may be made a second time if the shared session is lost meanwhile.
            needs_list: Whether the SDK has to know the tools, to check results by their schemas.
                It would ask for the first page at each call of a tool that is not on it.

        Raises:
            McpServerError: The server cannot be reached, or refuses.
            SessionLost: The session of the owner was lost.
            ToolTimeout: The server did not answer in time.
        """
        from mcp.shared.exceptions import MCPError

        owner = self._key(owner)
        connection = await self._connected(owner)
        seconds = self.conduct.call_seconds or call_seconds(self.params)
        try:
            with connection.use() as client:
                if needs_list and not connection.has_listed:
                    await within(seconds, _all_tools(client))
                    connection.has_listed = True
                return await within(seconds, _awaited(act, client))
        except Expired as error:
            if owner is None:  # it may hang for all
                connection.retire()
            raise ToolTimeout(
                f"The MCP server {self.name!r} did not {what} within {seconds:g} seconds."
            ) from error
        except MCPError as error:
            if not (connection.is_lost or _is_end(error)):
                raise self._refused(what, error) from error
            connection.retire()
            if again and owner is None:
                return await self.ask(act, owner=owner, what=what, needs_list=needs_list)
            self._raise_lost(owner, what, error)
        except Exception as error:  # the answer has another form, or the SDK does not know it
            raise self._refused(what, error) from error

    def _refused(self, what: str, error: Exception) -> McpServerError:
        text = redacted(error_text(error), self._secrets)[:_MOST_TEXT]
        text = f"The MCP server {self.name!r} could not {what}: {text}"
        return McpServerError(text, server=self.name)

    def _raise_lost(self, owner: object, what: str, error: Exception | None) -> NoReturn:
        text = f"The MCP server {self.name!r} ended its session"
        text += f" when it was asked to {what}; the request may have taken effect." if what else "."
        if owner is not None:
            self._forget(owner)
            raise SessionLost(f"{text} The next call starts a new session.") from error
        raise McpServerError(text, server=self.name) from error

    async def _connected(self, owner: object) -> Connection:
        loop = asyncio.get_running_loop()
        if self._loop is not loop:  # of an earlier `asyncio.run`, which has ended its tasks
            self._connections, self._opening, self._loop = {}, {}, loop
        known = self._connections.get(owner)
        if known is not None and not known.is_lost:
            return known
        if known is not None and owner is not None:
            self._raise_lost(owner, "", None)
        opening = self._opening.get(owner)
        if opening is None:
            opening = self._opening[owner] = asyncio.create_task(self._open(owner))
            opening.add_done_callback(lambda done: self._opened(owner, done))
        # Shielded: a cancelled call must not end the start that others wait for.
        return await asyncio.shield(opening)

    def _opened(self, owner: object, done: "asyncio.Task[Connection]") -> None:
        self._opening.pop(owner, None)
        if not done.cancelled():
            done.exception()  # the calls that wait for it may all have been cancelled

    async def _open(self, owner: object) -> Connection:
        # In a thread: the SDK takes a second to import, in which other runs would stand still.
        await asyncio.to_thread(import_module, "mcp.client.stdio")
        connection = Connection(
            self.params,
            name=self.name,
            start_seconds=self.conduct.start_seconds,
            idle_seconds=_IDLE_SECONDS if owner is None else None,
            roots=self.conduct.roots,
            sampling=self._sampling,
        )
        await connection.open()
        self._forget(owner)
        self._connections[owner] = connection
        return connection

    def _forget(self, owner: object) -> None:
        known = self._connections.pop(owner, None)
        if known is not None:
            self._changes += known.changes if owner is None else 0
            self._retired = [each for each in self._retired if not each.is_over] + [known]
            known.retire()

    def close(self, owner: object = None) -> None:
        """End the session of an owner, or the shared one; calls that are under way fail."""
        opening, known = self._opening.get(owner), self._connections.get(owner)
        if opening is not None:
            opening.cancel()
        if known is not None:
            known.close()
            self._forget(owner)

    async def aclose(self) -> None:
        """End all sessions, and return when their processes have ended."""
        connections = [*self._retired, *self._connections.values()]
        for owner in {*self._connections, *self._opening}:
            self.close(owner)
        for connection in connections:
            await connection.closed()


_MOST_TEXT: Final = 4_000


async def _awaited(act: "Callable[[Client], Awaitable[T]]", client: "Client") -> T:
    return await act(client)


async def _all_tools(client: "Client") -> "list[mcp_types.Tool]":
    """The tools of all pages."""
    tools: list[mcp_types.Tool] = []
    cursor: str | None = None
    for _ in range(_MOST_PAGES):
        page = await client.list_tools(cursor=cursor)
        tools += page.tools
        cursor = page.next_cursor
        if cursor is None:
            break
    return tools


def _effects(annotations: "mcp_types.ToolAnnotations | None") -> Effects:
    """The effects of a tool; without annotations it may have any (schema, `ToolAnnotations`)."""
    if annotations is None:
        return "write"
    if annotations.read_only_hint:
        return "none"
    return "idempotent" if annotations.idempotent_hint else "write"


def _is_end(error: Any) -> bool:
    """Whether the session has ended, here or at the server."""
    from mcp_types import CONNECTION_CLOSED

    # Streamable HTTP answers 404 to a session that it has forgotten; the SDK's text is this one.
    return error.code == CONNECTION_CLOSED or "Session terminated" in str(error)
