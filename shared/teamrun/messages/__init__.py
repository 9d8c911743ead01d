"""Messages: chat messages, events, and the conversation with a model.

Agents exchange chat messages; events report the work of an agent in between; a model client sends
and receives the messages of `messages.llm`.
"""

from typing import TYPE_CHECKING, TypeAlias

from teamrun.forwarding import forwarding
from teamrun.messages.chat import (
    BaseChatMessage,
    BaseMessage,
    BaseTextChatMessage,
    HandoffMessage,
    JsonContent,
    MultiModalMessage,
    StopMessage,
    StructuredMessage,
    TextMessage,
    ToolCallSummaryMessage,
)
from teamrun.messages.content import CodeBlock, CodeResult, MemoryContent, MemoryMimeType
from teamrun.messages.events import (
    BaseAgentEvent,
    CodeExecutionEvent,
    CodeGenerationEvent,
    MemoryQueryEvent,
    ModelClientStreamingChunkEvent,
    SelectorEvent,
    SelectSpeakerEvent,
    ThoughtEvent,
    ToolCallExecutionEvent,
    ToolCallRequestEvent,
    UserInputRequestedEvent,
)
from teamrun.messages.factory import MessageFactory
from teamrun.messages.image import Image
from teamrun.messages.llm import (
    AssistantMessage,
    CreateResult,
    FinishReason,
    FunctionCall,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    RequestUsage,
    SystemMessage,
    UserMessage,
)

if TYPE_CHECKING:
    from teamrun.messages.union import (
        AGENT_EVENT,
        CHAT_MESSAGE,
        MESSAGE,
        AgentEvent,
        ChatMessage,
        Message,
    )

__all__ = [
    "AGENT_EVENT",
    "CHAT_MESSAGE",
    "MESSAGE",
    "AgentEvent",
    "AssistantMessage",
    "BaseAgentEvent",
    "BaseChatMessage",
    "BaseMessage",
    "BaseTextChatMessage",
    "ChatMessage",
    "CodeBlock",
    "CodeExecutionEvent",
    "CodeGenerationEvent",
    "CodeResult",
    "CreateResult",
    "FinishReason",
    "FunctionCall",
    "FunctionExecutionResult",
    "FunctionExecutionResultMessage",
    "HandoffMessage",
    "Image",
    "JsonContent",
    "LLMMessage",
    "MemoryContent",
    "MemoryMimeType",
    "MemoryQueryEvent",
    "Message",
    "MessageFactory",
    "ModelClientStreamingChunkEvent",
    "MultiModalMessage",
    "MultimodalMessage",
    "RequestUsage",
    "SelectSpeakerEvent",
    "SelectorEvent",
    "StopMessage",
    "StructuredMessage",
    "SystemMessage",
    "TextMessage",
    "ThoughtEvent",
    "ToolCallExecutionEvent",
    "ToolCallMessage",
    "ToolCallRequestEvent",
    "ToolCallResultMessage",
    "ToolCallSummaryMessage",
    "ToolResultMessage",
    "UserInputRequestedEvent",
    "UserMessage",
]

ToolCallMessage: TypeAlias = ToolCallRequestEvent
"""An older name of the event."""
ToolCallResultMessage: TypeAlias = ToolCallExecutionEvent
"""An older name of the event."""
ToolResultMessage: TypeAlias = ToolCallExecutionEvent
"""An older name of the event."""
MultimodalMessage: TypeAlias = MultiModalMessage
"""The same class in another spelling."""

__getattr__, __dir__ = forwarding(
    __name__,
    {
        ".union": (
            "AGENT_EVENT",
            "CHAT_MESSAGE",
            "MESSAGE",
            "AgentEvent",
            "ChatMessage",
            "Message",
        )
    },
)
