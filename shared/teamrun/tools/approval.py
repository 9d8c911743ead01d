"""Tools that need a person's approval, outside of a run.

A run asks through its journal. A script or a notebook asks on its terminal, or calls a function.
"""

import inspect
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, Final, Self, TypeAlias, cast

from pydantic_core import to_json

from teamrun.core.cancel_scope import cancelled_by
from teamrun.core.cancellation import CancellationToken
from teamrun.errors import FatalToolError, NotApproved
from teamrun.json_types import JsonMapping
from teamrun.tools.base import StreamTool, Tool
from teamrun.tools.context import ToolContext
from teamrun.tools.schema import ToolSchema
from teamrun.tools.threads import run_in_thread

__all__ = ["ApprovalFunc", "ApprovedTool", "with_approval", "without_terminal"]

ApprovalFunc: TypeAlias = Callable[[str], bool | str] | Callable[[str], Awaitable[bool | str]]
"""Takes the question, and returns whether the call may be made: True, or a text that means yes."""

_YES: Final = frozenset({"approve", "y", "yes"})


def _is_yes(answer: object) -> bool:
    """Whether an answer approves a call: only True, and `yes`, `y` or `approve` in any case, do."""
    if isinstance(answer, str):
        return answer.strip().lower() in _YES
    return answer is True


class ApprovedTool(Tool):
    """A tool that is called only if a person approves each call.

    Args:
        tool: The tool.
        approve: Asks the person. A function that is not async is called in a thread. Only True and
            the texts `yes`, `y` and `approve`, in any case, approve the call; anything else rejects
            it. By default the terminal is used.
    """

    def __new__(cls, tool: Tool, approve: ApprovalFunc | None = None) -> Self:
        """An object that is a `StreamTool` if the tool is one."""
        reports = cls is ApprovedTool and isinstance(tool, StreamTool)
        return cast("Self", object.__new__(_ApprovedStreamTool if reports else cls))

    def __init__(self, tool: Tool, approve: ApprovalFunc | None = None) -> None:
        super().__init__(tool.name, tool.description)
        self._inner = tool
        self._approve: Callable[[str], object] = approve or _ask_at_terminal
        self.effects, self.on_unknown = tool.effects, tool.on_unknown
        self.session, self.on_lost = tool.session, tool.on_lost

    @property
    def given(self) -> Tool:
        """The tool that is called."""
        return self._inner

    @property
    def asks_terminal(self) -> bool:
        """Whether the terminal is used."""
        return self._approve is _ask_at_terminal

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
    ) -> Any:
        """Ask, then call the tool.

        Raises:
            NotApproved: The person rejected the call.
            FatalToolError: There is no terminal to ask on.
            Exception: Any exception of the tool.
        """
        await self._check_approval(args, cancellation_token)
        return await self._inner.run_json(
            args, cancellation_token, call_id=call_id, context=context
        )

    async def _check_approval(self, args: JsonMapping, token: CancellationToken | None) -> None:
        question = f"May {self.name}({to_json(args).decode()}) be called?"
        if not await self._is_approved(question, token):
            raise NotApproved("The call was not approved.")

    async def _is_approved(self, question: str, token: CancellationToken | None) -> bool:
        with cancelled_by(token):
            if inspect.iscoroutinefunction(self._approve):
                return _is_yes(await self._approve(question))
            answer = await run_in_thread(lambda: self._approve(question))
            if inspect.isawaitable(answer):
                answer = await cast("Awaitable[object]", answer)
            return _is_yes(answer)

    def return_value_as_string(self, value: Any) -> str:
        """The tool's own text for a value."""
        return self._inner.return_value_as_string(value)

    async def save_state_json(self) -> JsonMapping:
        """The tool's state."""
        return await self._inner.save_state_json()

    async def load_state_json(self, state: JsonMapping) -> None:
        """Continue from that state."""
        await self._inner.load_state_json(state)


class _ApprovedStreamTool(ApprovedTool, StreamTool):
    """An agent or a team as a tool that needs approval; its events are passed on."""

    async def run_json_stream(
        self,
        args: JsonMapping,
        cancellation_token: CancellationToken | None = None,
        *,
        call_id: str | None = None,
    ) -> AsyncGenerator[Any, None]:
        """Ask, then call the tool; yields the tool's items."""
        await self._check_approval(args, cancellation_token)
        inner = cast("StreamTool", self._inner)
        async with aclosing(
            inner.run_json_stream(args, cancellation_token, call_id=call_id)
        ) as stream:
            async for item in stream:
                yield item

    async def reset(self) -> None:
        """Let the agent or team forget everything."""
        await cast("StreamTool", self._inner).reset()


def with_approval(tool: Tool) -> Tool:
    """The tool, asking on the terminal before each call if it needs approval."""
    return ApprovedTool(tool) if tool.needs_approval else tool


def without_terminal(tool: Tool) -> Tool:
    """The tool that `with_approval` was given."""
    return tool.given if isinstance(tool, ApprovedTool) and tool.asks_terminal else tool


def _ask_at_terminal(question: str) -> bool:
    if not sys.stdin.isatty():
        raise FatalToolError(
            f"{question} A person has to approve it, and stdin is not a terminal. Wrap the tool "
            "in teamrun.tools.ApprovedTool with a function that decides."
        )
    while (line := input(f"{question} [y/n] ").strip().lower()) not in {"y", "yes", "n", "no"}:
        pass
    return _is_yes(line)
