"""Agents: participants of a conversation."""

from typing import TYPE_CHECKING

from teamrun.forwarding import forwarding

if TYPE_CHECKING:
    from teamrun.agents.assistant import AssistantAgent
    from teamrun.agents.base import BaseChatAgent
    from teamrun.agents.handoff import Handoff
    from teamrun.agents.user_proxy import UserProxyAgent

__all__ = ["AssistantAgent", "BaseChatAgent", "Handoff", "UserProxyAgent"]

__getattr__, __dir__ = forwarding(
    __name__,
    {
        ".assistant": ("AssistantAgent",),
        ".base": ("BaseChatAgent",),
        ".handoff": ("Handoff",),
        ".user_proxy": ("UserProxyAgent",),
    },
)
