"""Agents: participants of a conversation."""

from teamrun.agents.assistant import AssistantAgent
from teamrun.agents.base import BaseChatAgent
from teamrun.agents.handoff import Handoff
from teamrun.agents.user_proxy import UserProxyAgent

__all__ = ["AssistantAgent", "BaseChatAgent", "Handoff", "UserProxyAgent"]
