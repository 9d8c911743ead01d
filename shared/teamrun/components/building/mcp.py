"""Registered MCP servers, each made at its first use."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import cast

from pydantic import TypeAdapter, ValidationError

from teamrun.components.definitions.digest import digest
from teamrun.components.definitions.environment import MissingVariable, expand_all
from teamrun.components.definitions.mcp import SERVER_PREFIX, McpServerEntry
from teamrun.components.reading.problems import did_you_mean, listed
from teamrun.core.optional import require
from teamrun.errors import DefinitionError, MissingPackage
from teamrun.json_types import JsonMapping
from teamrun.tools.mcp.params import McpServerParams
from teamrun.tools.mcp.server import McpServer, ServerConduct

__all__ = ["McpServers"]


class McpServers(Collection[str]):
    """The servers of a process; as a collection, their names among the tools: `mcp:files`.

    Args:
        entries: The servers of the operator's file.
        given: Servers that exist already.
        environ: The environment that `${NAME}` is read from.
    """

    def __init__(
        self,
        entries: Sequence[McpServerEntry],
        *,
        given: Iterable[McpServer] = (),
        environ: Mapping[str, str],
    ) -> None:
        self._entries = {entry.name: entry for entry in entries}
        self._servers = {server.name: server for server in given}
        self._names = dict.fromkeys([*self._entries, *self._servers])
        self._environ = environ

    def __iter__(self) -> Iterator[str]:
        return (f"{SERVER_PREFIX}{name}" for name in self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, name: object) -> bool:
        return (
            isinstance(name, str)
            and name.startswith(SERVER_PREFIX)
            and name.removeprefix(SERVER_PREFIX) in self._names
        )

    @property
    def entries(self) -> Sequence[McpServerEntry]:
        """The servers of the operator's file."""
        return tuple(self._entries.values())

    def described_by(self, params: JsonMapping) -> str | None:
        """The server with the command or the address of AutoGen's `server_params`.

        Variables and headers are not compared: those of the operator count.
        """
        wanted = _identity(params)
        found = (e.name for e in self._entries.values() if _identity(e.params) == wanted)
        return None if wanted is None else next(found, None)

    def digest(self, name: str) -> str:
        """The digest of a registration, by the name among the tools."""
        entry = self._entries.get(name.removeprefix(SERVER_PREFIX))
        return digest({"server": name} if entry is None else entry.content())

    def check(self, name: str) -> None:
        """Check that the server's package is installed, without using the environment.

        Raises:
            DefinitionError: It is not.
        """
        entry = self._entries.get(name.removeprefix(SERVER_PREFIX))
        if entry is None:
            return
        try:
            require("mcp", extra="mcp", needed_by=f"The MCP server {entry.name!r}", lowest=(2,))
        except MissingPackage as error:
            raise DefinitionError(error.message, pointer=entry.where) from error

    def get(self, name: str) -> McpServer:
        """The server of that name, without the prefix.

        Raises:
            DefinitionError: There is none, its settings are invalid, or a variable is not set.
        """
        server = self._servers.get(name)
        if server is not None:
            return server
        entry = self._entries.get(name)
        if entry is None:
            hint = did_you_mean(name, self._names)
            raise DefinitionError(
                f"There is no MCP server {name!r}.{hint} Registered: {listed(self._names)}.",
                code="unknown_tool",
            )
        self.check(f"{SERVER_PREFIX}{name}")
        return self._servers.setdefault(name, self._made(entry))

    def _made(self, entry: McpServerEntry) -> McpServer:
        try:
            params = _PARAMS.validate_python(expand_all(dict(entry.params), self._environ))
            conduct = ServerConduct(**expand_all(dict(entry.conduct), self._environ))
        except MissingVariable as error:
            text = f"The MCP server {entry.name!r}: {error.message}"
            raise DefinitionError(text, pointer=entry.where) from error
        except ValidationError as error:
            found = error.errors(include_url=False, include_input=False)[0]
            field = ".".join(map(str, found["loc"][1:]))
            text = f"The MCP server {entry.name!r}: {field}: {found['msg']}."
            raise DefinitionError(text, pointer=entry.where) from error
        return McpServer(params, name=entry.name, conduct=conduct)

    async def close(self) -> None:
        """End the sessions of all servers."""
        for server in self._servers.values():
            await server.aclose()


def _identity(params: JsonMapping) -> object:
    """What two descriptions of the same server have in common; None for another object."""
    if isinstance(url := params.get("url"), str):
        return url
    command, args = params.get("command"), cast("object", params.get("args") or [])
    if not command or not isinstance(args, list | tuple):
        return None
    return command, list(cast("Sequence[object]", args))


_PARAMS: TypeAdapter[McpServerParams] = TypeAdapter(McpServerParams)
