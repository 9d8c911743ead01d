"""Requests of a server to a model (sampling), answered by a model client."""

from typing import TYPE_CHECKING, Any, cast

from teamrun.errors import ModelError
from teamrun.messages.llm import AssistantMessage, LLMMessage, SystemMessage, UserMessage
from teamrun.models.base import ChatCompletionClient

if TYPE_CHECKING:
    from mcp.client.session import SamplingFnT

__all__ = ["sampling_by"]

_STOPS = {"length": "maxTokens", "stop": "endTurn"}


def sampling_by(client: ChatCompletionClient) -> "SamplingFnT":
    """Answer with a model client; images, sounds and tools in a request are refused."""
    from mcp_types import INVALID_REQUEST, CreateMessageResult, ErrorData, TextContent

    async def sample(context: Any, params: Any) -> Any:
        messages: list[LLMMessage] = []
        if params.system_prompt:
            messages.append(SystemMessage(content=params.system_prompt))
        for message in params.messages:
            content: Any = message.content
            blocks = cast("list[Any]", content if isinstance(content, list) else [content])
            if any(block.type != "text" for block in blocks) or getattr(params, "tools", None):
                text = "Only requests of text, without tools, are answered."
                return ErrorData(code=INVALID_REQUEST, message=text)
            text = "\n".join(block.text for block in blocks)
            if message.role == "assistant":
                messages.append(AssistantMessage(content=text, source="assistant"))
            else:
                messages.append(UserMessage(content=text, source="user"))
        try:
            result = await client.create(messages)
        except ModelError as error:
            return ErrorData(code=INVALID_REQUEST, message=f"The model failed: {error.code}.")
        return CreateMessageResult(
            role="assistant",
            content=TextContent(type="text", text=str(result.content)),
            model=str(getattr(client, "model", None) or "unknown"),
            stop_reason=_STOPS.get(result.finish_reason, "endTurn"),
        )

    return sample
