"""An actor that calls tools for others, for programs of actors.

Source: `autogen_core.tool_agent` of autogen-core 0.7.5.
"""

import asyncio
import json
from collections.abc import Sequence
from typing import Protocol

from teamrun.core.actors.contexts import MessageContext
from teamrun.core.actors.ids import AgentId
from teamrun.core.actors.routing import RoutedAgent, message_handler
from teamrun.core.cancellation import CancellationToken
from teamrun.errors import ToolError
from teamrun.messages import (
    AssistantMessage,
    FunctionCall,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
)
from teamrun.models.base import ChatCompletionClient
from teamrun.tools.base import Tool
from teamrun.tools.schema import ToolSchema

__all__ = [
    "InvalidToolArgumentsException",
    "ToolAgent",
    "ToolException",
    "ToolExecutionException",
    "ToolNotFoundException",
    "tool_agent_caller_loop",
]


class ToolException(ToolError):
    """A call of a `ToolAgent` failed; the base of the errors below."""

    def __init__(self, call_id: str, content: str, name: str) -> None:
        super().__init__(content, call_id=call_id, name=name)
        self.call_id = call_id
        """The model's id of the call."""
        self.content = content
        """The text for the model."""
        self.name = name
        """The name of the tool."""

    def __reduce__(self) -> tuple[type["ToolException"], tuple[str, str, str]]:
        """Keep the data when the error crosses a process boundary."""
        return type(self), (self.call_id, self.content, self.name)


class ToolNotFoundException(ToolException):
    """The agent has no tool of this name."""


class InvalidToolArgumentsException(ToolException):
    """The arguments are not JSON."""


class ToolExecutionException(ToolException):
    """The tool raised an exception, or the arguments do not match its schema."""


class ToolAgent(RoutedAgent):
    """An actor that executes `FunctionCall` messages.

    Args:
        description: The agent's purpose.
        tools: The tools.
    """

    def __init__(self, description: str, tools: Sequence[Tool]) -> None:
        super().__init__(description)
        self._tools = list(tools)

    @property
    def tools(self) -> list[Tool]:
        """The tools."""
        return self._tools

    @message_handler
    async def handle_function_call(
        self, message: FunctionCall, ctx: MessageContext
    ) -> FunctionExecutionResult:
        """Call a tool.

        Raises:
            ToolException: One of the classes above.
        """
        call_id, name = message.id, message.name
        tool = next((each for each in self._tools if each.name == name), None)
        if tool is None:
            text = f"Error: Tool not found: {name}"
            raise ToolNotFoundException(call_id, text, name)
        try:
            arguments = json.loads(message.arguments)
        except json.JSONDecodeError as error:
            text = f"Error: Invalid arguments: {message.arguments}"
            raise InvalidToolArgumentsException(call_id, text, name) from error
        try:
            value = await tool.run_json(arguments, ctx.cancellation_token, call_id=call_id)
            content = tool.return_value_as_string(value)
        except Exception as error:
            raise ToolExecutionException(call_id, f"Error: {error}", name) from error
        return FunctionExecutionResult(content=content, call_id=call_id, is_error=False, name=name)


class _Caller(Protocol):
    async def send_message(
        self,
        message: object,
        recipient: AgentId,
        *,
        cancellation_token: CancellationToken | None = None,
    ) -> object: ...


async def tool_agent_caller_loop(
    caller: _Caller,
    tool_agent_id: AgentId,
    model_client: ChatCompletionClient,
    input_messages: Sequence[LLMMessage],
    tool_schema: Sequence[ToolSchema] | Sequence[Tool],
    cancellation_token: CancellationToken | None = None,
    caller_source: str = "assistant",
) -> list[LLMMessage]:
    """Call a model and the tools that it asks for, until it answers with text.

    Args:
        caller: An agent or a runtime, which sends the calls.
        tool_agent_id: The `ToolAgent`.
        model_client: The model.
        input_messages: The conversation so far.
        tool_schema: The tools that the model sees.
        cancellation_token: Cancels all calls.
        caller_source: The source of the model's messages.

    Returns:
        The new messages: those of the model, and the results of its calls.

    Raises:
        Exception: What a call raised that is no `ToolException`; those are results for the model.
    """
    schemas = [each.schema if isinstance(each, Tool) else each for each in tool_schema]
    generated: list[LLMMessage] = []
    while True:
        result = await model_client.create(
            [*input_messages, *generated],
            tools=schemas,
            cancellation_token=cancellation_token,
        )
        generated.append(AssistantMessage(content=result.content, source=caller_source))
        if isinstance(result.content, str):
            return generated
        outcomes = await asyncio.gather(
            *(
                caller.send_message(call, tool_agent_id, cancellation_token=cancellation_token)
                for call in result.content
            ),
            return_exceptions=True,
        )
        generated.append(FunctionExecutionResultMessage(content=[_result(o) for o in outcomes]))


def _result(outcome: object) -> FunctionExecutionResult:
    match outcome:
        case FunctionExecutionResult():
            return outcome
        case ToolException():
            return FunctionExecutionResult(
                content=f"Error: {str(outcome).removeprefix('Error: ')}",
                call_id=outcome.call_id,
                is_error=True,
                name=outcome.name,
            )
        case BaseException():
            raise outcome
        case _:
            raise TypeError(
                "The tool agent must respond with a FunctionExecutionResult, not "
                f"{type(outcome).__name__}."
            )
