"""A registered function as the tool of one agent outside of a run, with separate state."""

import copy
from typing import Any

from teamrun.core.cancellation import CancellationToken
from teamrun.json_types import JsonMapping, JsonObject
from teamrun.tools.base import Tool
from teamrun.tools.context import ToolContext, checked_state
from teamrun.tools.schema import ToolSchema

__all__ = ["OwnStateTool"]


class OwnStateTool(Tool):
    """Gives a tool the context that a run provides: JSON state, and the calling agent.

    Args:
        tool: The tool, which other agents may also use.
        path: Of the agent.
    """

    def __init__(self, tool: Tool, *, path: str) -> None:
        super().__init__(tool.name, tool.description)
        self._inner = tool
        self._path = path
        self._state: JsonObject = {}
        self.effects, self.on_unknown = tool.effects, tool.on_unknown
        self.session, self.on_lost = tool.session, tool.on_lost
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
    ) -> Any:
        """Call the tool; the state that it leaves is kept if the call succeeds.

        Raises:
            UsageError: The state is not JSON data.
            Exception: Any exception of the tool.
        """
        context = context or ToolContext(
            state=copy.deepcopy(self._state), call_id=call_id or "", agent=self._path
        )
        value = await self._inner.run_json(
            args, cancellation_token, call_id=call_id, context=context
        )
        self._state = checked_state(context.state, tool=self.name)
        return value

    def return_value_as_string(self, value: Any) -> str:
        """The tool's own text for a value."""
        return self._inner.return_value_as_string(value)

    async def save_state_json(self) -> JsonMapping:
        """The state."""
        return dict(self._state)

    async def load_state_json(self, state: JsonMapping) -> None:
        """Continue with that state."""
        self._state = dict(state)
