"""Agents: participants of a conversation."""

from typing import TYPE_CHECKING

from teamrun.forwarding import forwarding

if TYPE_CHECKING:
    from teamrun.agents.assistant import AssistantAgent
    from teamrun.agents.base import BaseChatAgent
    from teamrun.agents.code_executor import (
        ApprovalFuncType,
        ApprovalRequest,
        ApprovalResponse,
        CodeExecutorAgent,
    )
    from teamrun.agents.handoff import Handoff
    from teamrun.agents.message_filter import (
        MessageFilterAgent,
        MessageFilterConfig,
        PerSourceFilter,
    )
    from teamrun.agents.society_of_mind import SocietyOfMindAgent
    from teamrun.agents.user_proxy import UserProxyAgent

__all__ = [
    "ApprovalFuncType",
    "ApprovalRequest",
    "ApprovalResponse",
    "AssistantAgent",
    "BaseChatAgent",
    "CodeExecutorAgent",
    "Handoff",
    "MessageFilterAgent",
    "MessageFilterConfig",
    "PerSourceFilter",
    "SocietyOfMindAgent",
    "UserProxyAgent",
]

__getattr__, __dir__ = forwarding(
    __name__,
    {
        ".assistant": ("AssistantAgent",),
        ".base": ("BaseChatAgent",),
        ".code_executor": (
            "ApprovalFuncType",
            "ApprovalRequest",
            "ApprovalResponse",
            "CodeExecutorAgent",
        ),
        ".handoff": ("Handoff",),
        ".message_filter": ("MessageFilterAgent", "MessageFilterConfig", "PerSourceFilter"),
        ".society_of_mind": ("SocietyOfMindAgent",),
        ".user_proxy": ("UserProxyAgent",),
    },
)
