"""Teams as the tools of an MCP server: each call is an ordinary durable run.

Above it: `teamrun mcp` (standard input and output) and `/mcp` of the HTTP API. Below it: the
service of runs and the official SDK (the extra `mcp`). The protocol:
https://modelcontextprotocol.io/specification.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final

import pydantic_core

from teamrun.core.optional import require
from teamrun.errors import StorageError, TeamrunError
from teamrun.json_types import JsonObject
from teamrun.runs.log.status import TERMINAL
from teamrun.runs.service.requests import RunRequest
from teamrun.runs.service.resources import Event, Run
from teamrun.runs.service.service import RunService
from teamrun.version import VERSION

if TYPE_CHECKING:
    import mcp_types
    from mcp.server import Server, ServerRequestContext

    from teamrun.components.resources import TeamSummary

__all__ = ["CANCEL_RUN", "GET_RUN", "IDEMPOTENCY_KEY", "team_server"]

logger = logging.getLogger(__name__)

GET_RUN: Final = "teamrun_get_run"
CANCEL_RUN: Final = "teamrun_cancel_run"
IDEMPOTENCY_KEY: Final = "teamrun/idempotency-key"
"""The key in `_meta` of a call under which a repeated call finds the run of the first one."""

_TASK: Final[JsonObject] = {
    "type": "object",
    "properties": {
        "task": {"type": "string", "description": "What the team shall do."},
        "background": {
            "type": "boolean",
            "description": f"Return at once; {GET_RUN} has the result later.",
            "default": False,
        },
    },
    "required": ["task"],
    "additionalProperties": False,
}
_RUN: Final[JsonObject] = {
    "type": "object",
    "properties": {"run_id": {"type": "string", "description": "The id of a run."}},
    "required": ["run_id"],
    "additionalProperties": False,
}
_FAILED: Final = frozenset({"failed", "expired", "unreadable"})

ListTeams = Callable[[str], "Awaitable[Sequence[TeamSummary]]"]
"""Returns the teams of a tenant."""


def team_server(
    service: RunService,
    teams: ListTeams,
    *,
    tenant_of: Callable[[Any], str],
    is_closing: Callable[[], bool] = bool,
) -> "Server[Any]":
    """A server of the SDK whose tools are the teams.

    Args:
        service: Accepts and follows the runs.
        teams: Lists the teams.
        tenant_of: Returns the tenant of a request: of the HTTP request, or of None over stdio.
        is_closing: Whether this process stops, which cancels requests, and must not cancel runs.

    Raises:
        MissingPackage: The package `mcp` is not installed.
    """
    require("mcp", extra="mcp", needed_by="The MCP server", lowest=(2,))
    from mcp.server import Server

    served = _TeamServer(service, teams, tenant_of, is_closing)
    return Server(
        "teamrun",
        version=VERSION,
        instructions=(
            "Each tool is a team of agents that works on a task. A call is a durable run: it"
            f" continues if this connection is lost, and {GET_RUN} has its result."
        ),
        on_list_tools=served.list_tools,
        on_call_tool=served.call_tool,
    )


class _TeamServer:
    def __init__(
        self,
        service: RunService,
        teams: ListTeams,
        tenant_of: Callable[[Any], str],
        is_closing: Callable[[], bool],
    ) -> None:
        self._is_closing = is_closing
        self._service = service
        self._teams = teams
        self._tenant_of = tenant_of

    async def list_tools(
        self, context: "ServerRequestContext[Any]", params: Any
    ) -> "mcp_types.ListToolsResult":
        from mcp.shared.exceptions import MCPError
        from mcp_types import INTERNAL_ERROR, ListToolsResult, Tool, ToolAnnotations

        try:
            teams = await self._teams(self._tenant_of(context.request))
        except Exception as error:
            _note(error)
            raise MCPError(INTERNAL_ERROR, _TRY_AGAIN) from None
        tools = [
            Tool(
                name=team.name,
                description=team.description or f"Give a task to the team {team.name!r}.",
                input_schema=_TASK,
            )
            for team in teams
        ]
        reads = ToolAnnotations(read_only_hint=True)
        repeats = ToolAnnotations(read_only_hint=False, idempotent_hint=True)
        about = [
            (GET_RUN, "Read the status and the result of a run.", reads),
            (CANCEL_RUN, "Cancel a run.", repeats),
        ]
        tools += [
            Tool(name=name, description=text, input_schema=_RUN, annotations=hints)
            for name, text, hints in about
        ]
        return ListToolsResult(tools=tools)

    async def call_tool(
        self, context: "ServerRequestContext[Any]", params: "mcp_types.CallToolRequestParams"
    ) -> "mcp_types.CallToolResult":
        tenant = self._tenant_of(context.request)
        arguments: Mapping[str, Any] = params.arguments or {}
        try:
            _check(arguments, _RUN if params.name in (GET_RUN, CANCEL_RUN) else _TASK)
            match params.name:
                case name if name == GET_RUN:
                    run = await self._service.get(tenant, arguments["run_id"])
                case name if name == CANCEL_RUN:
                    run = await self._service.cancel(tenant, arguments["run_id"])
                case name:
                    run = await self._run(context, tenant, name, arguments)
        except TeamrunError as error:
            if not isinstance(error, StorageError):
                return _failure(error.message)
            _note(error)
            return _failure(_TRY_AGAIN)
        except Exception as error:
            _note(error)
            return _failure(_TRY_AGAIN)
        return _result(run)

    async def _run(
        self,
        context: "ServerRequestContext[Any]",
        tenant: str,
        team: str,
        arguments: Mapping[str, Any],
    ) -> Run:
        """Submit a run, and wait until it ends or needs a person."""
        key = (context.meta or {}).get(IDEMPOTENCY_KEY)
        request = RunRequest(team=team, input=arguments["task"])
        submitted = await self._service.submit(
            tenant, request, idempotency_key=None if key is None else str(key)
        )
        run = submitted.run
        if arguments.get("background"):
            return run
        try:
            await self._follow(context, tenant, run.id)
        except BaseException:
            await self._cancel_if_asked(context, tenant, run.id)
            raise
        return await self._service.get(tenant, run.id)

    async def _follow(self, context: "ServerRequestContext[Any]", tenant: str, run_id: str) -> None:
        told = 0
        async with aclosing(self._service.follow(tenant, run_id, deltas=False)) as items:
            async for item in items:
                if not isinstance(item, Event):
                    continue
                text = _progress(item)
                if text is not None:
                    told += 1
                    await context.session.report_progress(told, None, text)
                if item.type in ("run.input_required", "run.paused"):
                    return

    async def _cancel_if_asked(
        self, context: "ServerRequestContext[Any]", tenant: str, run_id: str
    ) -> None:
        """Cancel the run of a request that the client has cancelled.

        In versions of the protocol before 2026, a lost HTTP connection is no cancellation.
        """
        import anyio
        from mcp_types.version import MODERN_PROTOCOL_VERSIONS

        by_connection = context.request is not None
        if by_connection and context.protocol_version not in MODERN_PROTOCOL_VERSIONS:
            return
        if self._is_closing():
            return
        with anyio.CancelScope(shield=True):
            try:
                await self._service.cancel(tenant, run_id)
            except TeamrunError as error:  # it has ended, or storage does not respond
                data = {"action": "mcp.cancel_failed", "run_id": run_id, "code": error.code}
                logger.info("A run was not cancelled with its call over MCP", extra=data)


_TRY_AGAIN: Final = "The service cannot answer; try again later."
"""The client is not sent the reason, which may name hosts and keys."""


def _note(error: Exception) -> None:
    is_storage = isinstance(error, StorageError)
    data = {"action": "mcp.request_failed", "error": type(error).__name__}
    logger.warning("A request over MCP failed", extra=data, exc_info=not is_storage)


def _check(arguments: Mapping[str, Any], schema: JsonObject) -> None:
    """Check the arguments, which the SDK does not.

    Raises:
        UsageError: An argument is missing, unknown or of another type.
    """
    from teamrun.errors import UsageError

    known: Mapping[str, JsonObject] = schema["properties"]
    types = {"string": str, "boolean": bool}
    for name in schema["required"]:
        if name not in arguments:
            raise UsageError(f"{name!r} is needed.")
    for name, value in arguments.items():
        if name not in known:
            raise UsageError(f"There is no argument {name!r}; there are {sorted(known)}.")
        if not isinstance(value, types[known[name]["type"]]):
            raise UsageError(f"{name!r} must be a {known[name]['type']}.")


def _progress(event: Event) -> str | None:
    """A line about an event; None for events that say nothing to a person."""
    if event.type == "message.created":
        message: JsonObject = event.data["message"]
        content = message.get("content")
        text = content if isinstance(content, str) else str(message.get("type"))
        return f"{message.get('source')}: {text}"[:_LONGEST_LINE]
    if event.type == "tool.call.progressed":
        return f"{event.agent}: {event.data.get('note')}"[:_LONGEST_LINE]
    return event.type if event.type in ("run.started", "run.retried") else None


_LONGEST_LINE: Final = 500


def _failure(text: str) -> "mcp_types.CallToolResult":
    from mcp_types import CallToolResult, TextContent

    return CallToolResult(content=[TextContent(type="text", text=text)], is_error=True)


def _result(run: Run) -> "mcp_types.CallToolResult":
    """The run as a result: its output as text, and what a program needs as data."""
    from mcp_types import CallToolResult, TextContent

    data: JsonObject = {"run_id": run.id, "status": run.status, "stop_code": run.stop_code}
    if run.output is not None:
        data["output"] = run.output.model_dump(mode="json")
    if run.required_actions:
        data["required_actions"] = [
            {"id": each.id, "prompt": each.prompt} for each in run.required_actions
        ]
    text = _text(run)
    structured = pydantic_core.from_json(pydantic_core.to_json(data))
    return CallToolResult(
        content=[TextContent(type="text", text=text)],
        structured_content=structured,
        is_error=run.status in _FAILED,
    )


def _text(run: Run) -> str:
    if run.status == "completed" and run.output is not None:
        return run.output.text
    if run.required_actions:
        questions = "; ".join(each.prompt for each in run.required_actions)
        return f"The run {run.id} waits for a person: {questions}"
    reason = run.stop_reason or (run.error.message if run.error is not None else "")
    text = f"The run {run.id} is {run.status}."
    if reason:
        text += f" {reason}"
    if run.status in TERMINAL and run.output is not None:
        text += f"\n{run.output.text}"
    return text
