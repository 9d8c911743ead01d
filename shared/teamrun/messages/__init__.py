"""Messages: chat messages, events, and the conversation with a model.

Agents exchange chat messages; events report the work of an agent in between; a model client sends
and receives the messages of `messages.llm`.
"""

from typing import TYPE_CHECKING

from teamrun.forwarding import forwarding

if TYPE_CHECKING:
    from teamrun.messages.chat import (
        BaseChatMessage,
        BaseMessage,
        BaseTextChatMessage,
        HandoffMessage,
        JsonContent,
        MultiModalMessage,
        MultimodalMessage,
        StopMessage,
        StructuredMessage,
        TextMessage,
        ToolCallSummaryMessage,
    )
    from teamrun.messages.code import (
        CodeBlock,
        CodeExecutionEvent,
        CodeGenerationEvent,
        CodeResult,
    )
    from teamrun.messages.content import (
        MemoryContent,
        MemoryMimeType,
        MemoryQueryEvent,
    )
    from teamrun.messages.events import (
        BaseAgentEvent,
        ModelClientStreamingChunkEvent,
        ThoughtEvent,
        ToolCallExecutionEvent,
        ToolCallMessage,
        ToolCallRequestEvent,
        ToolCallResultMessage,
        ToolResultMessage,
        UserInputRequestedEvent,
    )
    from teamrun.messages.factory import (
        MessageFactory,
    )
    from teamrun.messages.image import (
        Image,
    )
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
    from teamrun.messages.selection import (
        SelectorEvent,
        SelectSpeakerEvent,
    )
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

__getattr__, __dir__ = forwarding(
    __name__,
    {
        ".chat": (
            "BaseChatMessage",
            "BaseMessage",
            "BaseTextChatMessage",
            "HandoffMessage",
            "JsonContent",
            "MultiModalMessage",
            "MultimodalMessage",
            "StopMessage",
            "StructuredMessage",
            "TextMessage",
            "ToolCallSummaryMessage",
        ),
        ".code": (
            "CodeBlock",
            "CodeExecutionEvent",
            "CodeGenerationEvent",
            "CodeResult",
        ),
        ".content": (
            "MemoryContent",
            "MemoryMimeType",
            "MemoryQueryEvent",
        ),
        ".events": (
            "BaseAgentEvent",
            "ModelClientStreamingChunkEvent",
            "ThoughtEvent",
            "ToolCallExecutionEvent",
            "ToolCallMessage",
            "ToolCallRequestEvent",
            "ToolCallResultMessage",
            "ToolResultMessage",
            "UserInputRequestedEvent",
        ),
        ".factory": ("MessageFactory",),
        ".image": ("Image",),
        ".llm": (
            "AssistantMessage",
            "CreateResult",
            "FinishReason",
            "FunctionCall",
            "FunctionExecutionResult",
            "FunctionExecutionResultMessage",
            "LLMMessage",
            "RequestUsage",
            "SystemMessage",
            "UserMessage",
        ),
        ".selection": (
            "SelectSpeakerEvent",
            "SelectorEvent",
        ),
        ".union": (
            "AGENT_EVENT",
            "CHAT_MESSAGE",
            "MESSAGE",
            "AgentEvent",
            "ChatMessage",
            "Message",
        ),
    },
)
