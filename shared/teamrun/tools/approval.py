"""Tools that need a person's approval, outside of a run.

A run asks through its journal. A script or a notebook asks on its terminal, or calls a function.
"""

import inspect
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias, cast

from pydantic_core import to_json

from teamrun.core.cancel_scope import cancelled_by
from teamrun.core.cancellation import CancellationToken
from teamrun.errors import FatalToolError, ToolError
from teamrun.tools.base import Tool
from teamrun.tools.context import ToolContext
from teamrun.tools.schema import ToolSchema
from teamrun.tools.threads import run_in_thread

__all__ = ["ApprovalFunc", "ApprovedTool", "with_approval"]

ApprovalFunc: TypeAlias = Callable[[str], bool] | Callable[[str], Awaitable[bool]]
"""Takes the question, and returns whether the call may be made."""


class ApprovedTool(Tool):
    """A tool that is called only if a person approves each call.

    Args:
        tool: The tool.
        approve: Asks the person. A function that is not async is called in a thread. By default the
            question comes on the terminal.
    """

    def __init__(self, tool: Tool, approve: ApprovalFunc | None = None) -> None:
        super().__init__(tool.name, tool.description)
        self._inner = tool
        self._approve: Callable[[str], object] = approve or _ask_at_terminal
        self.effects, self.on_unknown = tool.effects, tool.on_unknown
        self.session, self.on_lost = tool.session, tool.on_lost

    @property
    def schema(self) -> ToolSchema:
        """The tool as a model sees it."""
        return self._inner.schema

    async def run_json(
        self,
        args: Mapping[str, Any],
        cancellation_token: CancellationToken | None = None,
        *,
        call_id: str | None = None,
        context: ToolContext | None = None,
    ) -> Any:
        """Ask, then call the tool.

        Raises:
            ToolError: The person rejected the call.
            FatalToolError: There is no terminal to ask on.
            Exception: Whatever the tool raises.
        """
        question = f"May {self.name}({to_json(args).decode()}) be called?"
        if not await self._is_approved(question, cancellation_token):
            raise ToolError("The call was not approved.")
        return await self._inner.run_json(
            args, cancellation_token, call_id=call_id, context=context
        )

    async def _is_approved(self, question: str, token: CancellationToken | None) -> bool:
        with cancelled_by(token):
            if inspect.iscoroutinefunction(self._approve):
                return bool(await self._approve(question))
            answer = await run_in_thread(lambda: self._approve(question))
            if inspect.isawaitable(answer):
                answer = await cast("Awaitable[object]", answer)
            return bool(answer)

    def return_value_as_string(self, value: Any) -> str:
        """The tool's own text for a value."""
        return self._inner.return_value_as_string(value)

    async def save_state_json(self) -> Mapping[str, Any]:
        """The tool's state."""
        return await self._inner.save_state_json()

    async def load_state_json(self, state: Mapping[str, Any]) -> None:
        """Continue from that state."""
        await self._inner.load_state_json(state)


def with_approval(tool: Tool) -> Tool:
    """The tool, asking on the terminal before each call if it needs approval."""
    return ApprovedTool(tool) if tool.needs_approval else tool


def _ask_at_terminal(question: str) -> bool:
    if not sys.stdin.isatty():
        raise FatalToolError(
            f"{question} A person has to approve it, and stdin is not a terminal. Wrap the tool "
            "in teamrun.tools.ApprovedTool with a function that decides."
        )
    while (line := input(f"{question} [y/n] ").strip().lower()) not in {"y", "yes", "n", "no"}:
        pass
    return line in {"y", "yes"}
