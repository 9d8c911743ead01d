"""Teams of LLM agents: in a notebook with `run`, or as durable jobs behind an HTTP API.

The names of everyday use are here; everything else is in the package of its subject, such as
`teamrun.conditions`, `teamrun.messages` or `teamrun.models`. Importing this package imports
nothing: each name brings its module with it at its first use.
"""

from typing import TYPE_CHECKING

from teamrun.forwarding import forwarding

if TYPE_CHECKING:
    from teamrun.agents import AssistantAgent, BaseChatAgent, Handoff, UserProxyAgent
    from teamrun.components.config_loader import ConfigLoader
    from teamrun.conditions import MaxMessageTermination, TextMentionTermination
    from teamrun.console import Console
    from teamrun.core import CancellationToken, Response, TaskResult
    from teamrun.errors import TeamrunError
    from teamrun.messages import TextMessage
    from teamrun.teams import (
        DiGraphBuilder,
        GraphFlow,
        MagenticOneGroupChat,
        RoundRobinGroupChat,
        SelectorGroupChat,
        Swarm,
    )
    from teamrun.tools import AgentTool, FunctionTool, TeamTool, ToolContext
    from teamrun.version import __version__

__all__ = [
    "AgentTool",
    "AssistantAgent",
    "BaseChatAgent",
    "CancellationToken",
    "ConfigLoader",
    "Console",
    "DiGraphBuilder",
    "FunctionTool",
    "GraphFlow",
    "Handoff",
    "MagenticOneGroupChat",
    "MaxMessageTermination",
    "Response",
    "RoundRobinGroupChat",
    "SelectorGroupChat",
    "Swarm",
    "TaskResult",
    "TeamTool",
    "TeamrunError",
    "TextMentionTermination",
    "TextMessage",
    "ToolContext",
    "UserProxyAgent",
    "__version__",
]

__getattr__, __dir__ = forwarding(
    __name__,
    {
        ".agents": ("AssistantAgent", "BaseChatAgent", "Handoff", "UserProxyAgent"),
        ".components.config_loader": ("ConfigLoader",),
        ".conditions": ("MaxMessageTermination", "TextMentionTermination"),
        ".console": ("Console",),
        ".core": ("CancellationToken", "Response", "TaskResult"),
        ".errors": ("TeamrunError",),
        ".messages": ("TextMessage",),
        ".teams": (
            "DiGraphBuilder",
            "GraphFlow",
            "MagenticOneGroupChat",
            "RoundRobinGroupChat",
            "SelectorGroupChat",
            "Swarm",
        ),
        ".tools": ("AgentTool", "FunctionTool", "TeamTool", "ToolContext"),
        ".version": ("__version__",),
    },
)
