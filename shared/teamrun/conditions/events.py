"""Conditions on what agents do: hand over, call a function."""

from collections.abc import Sequence

from teamrun.conditions.base import SimpleTermination
from teamrun.core.protocols import AnyMessage
from teamrun.messages import HandoffMessage, ToolCallExecutionEvent

__all__ = ["FunctionCallTermination", "HandoffTermination"]


class HandoffTermination(SimpleTermination):
    """Fires when an agent hands over to `target`, as to a user outside the team."""

    stop_code = "handoff"

    def __init__(self, target: str) -> None:
        super().__init__()
        self._target = target

    def _check(self, messages: Sequence[AnyMessage]) -> str | None:
        for message in messages:
            if isinstance(message, HandoffMessage) and message.target == self._target:
                return f"Handoff to {self._target} from {message.source} detected."
        return None


class FunctionCallTermination(SimpleTermination):
    """Fires when a tool named `function_name` was executed, with or without success."""

    stop_code = "function_call"

    def __init__(self, function_name: str) -> None:
        super().__init__()
        self._function_name = function_name

    def _check(self, messages: Sequence[AnyMessage]) -> str | None:
        for message in messages:
            if isinstance(message, ToolCallExecutionEvent) and any(
                result.name == self._function_name for result in message.content
            ):
                return f"Function '{self._function_name}' was executed."
        return None
