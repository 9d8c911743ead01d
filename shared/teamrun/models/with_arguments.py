"""A model client with arguments of its own for every call: those of an agent, or of a run."""

from collections.abc import AsyncGenerator, Sequence

from pydantic import BaseModel

from teamrun.core.cancellation import CancellationToken
from teamrun.json_types import JsonMapping
from teamrun.messages.llm import CreateResult, LLMMessage
from teamrun.models.base import ChatCompletionClient, ToolChoice
from teamrun.models.wrapper import ModelWrapper
from teamrun.tools.schema import ToolSchema

__all__ = ["with_arguments"]


def with_arguments(client: ChatCompletionClient, arguments: JsonMapping) -> ChatCompletionClient:
    """Add arguments to every call; those that a call gives itself win.

    Args:
        client: The client; it is returned itself if there are no arguments.
        arguments: `temperature` and other arguments of its `extra_create_args`.
    """
    return _WithArguments(client, arguments) if arguments else client


class _WithArguments(ModelWrapper):
    def __init__(self, wrapped: ChatCompletionClient, arguments: JsonMapping) -> None:
        super().__init__(wrapped)
        self._arguments = arguments

    async def create(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[ToolSchema] = (),
        tool_choice: ToolChoice = "auto",
        json_output: bool | type[BaseModel] | None = None,
        extra_create_args: JsonMapping | None = None,
        cancellation_token: CancellationToken | None = None,
    ) -> CreateResult:
        """Ask with the arguments."""
        return await super().create(
            messages,
            tools=tools,
            tool_choice=tool_choice,
            json_output=json_output,
            extra_create_args={**self._arguments, **(extra_create_args or {})},
            cancellation_token=cancellation_token,
        )

    def create_stream(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[ToolSchema] = (),
        tool_choice: ToolChoice = "auto",
        json_output: bool | type[BaseModel] | None = None,
        extra_create_args: JsonMapping | None = None,
        cancellation_token: CancellationToken | None = None,
    ) -> AsyncGenerator[str | CreateResult, None]:
        """Ask with the arguments."""
        return super().create_stream(
            messages,
            tools=tools,
            tool_choice=tool_choice,
            json_output=json_output,
            extra_create_args={**self._arguments, **(extra_create_args or {})},
            cancellation_token=cancellation_token,
        )
