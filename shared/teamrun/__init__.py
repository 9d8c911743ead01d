"""Teams of LLM agents: in a notebook with `run`, or as durable jobs behind an HTTP API.

The names of everyday use are here; everything else is in the package of its subject, such as
`teamrun.conditions`, `teamrun.messages` or `teamrun.models`. Importing this package imports
nothing: each name brings its module with it at its first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from teamrun.agents import AssistantAgent, BaseChatAgent, Handoff, UserProxyAgent
    from teamrun.conditions import MaxMessageTermination, TextMentionTermination
    from teamrun.console import Console
    from teamrun.core import CancellationToken, Response, TaskResult
    from teamrun.errors import TeamrunError
    from teamrun.messages import TextMessage
    from teamrun.teams import RoundRobinGroupChat, SelectorGroupChat
    from teamrun.tools import AgentTool, FunctionTool, TeamTool, ToolContext
    from teamrun.version import VERSION as __version__

__all__ = [
    "AgentTool",
    "AssistantAgent",
    "BaseChatAgent",
    "CancellationToken",
    "Console",
    "FunctionTool",
    "Handoff",
    "MaxMessageTermination",
    "Response",
    "RoundRobinGroupChat",
    "SelectorGroupChat",
    "TaskResult",
    "TeamTool",
    "TeamrunError",
    "TextMentionTermination",
    "TextMessage",
    "ToolContext",
    "UserProxyAgent",
    "__version__",
]

_HOMES = {
    "AgentTool": "teamrun.tools",
    "AssistantAgent": "teamrun.agents",
    "BaseChatAgent": "teamrun.agents",
    "CancellationToken": "teamrun.core",
    "Console": "teamrun.console",
    "FunctionTool": "teamrun.tools",
    "Handoff": "teamrun.agents",
    "MaxMessageTermination": "teamrun.conditions",
    "Response": "teamrun.core",
    "RoundRobinGroupChat": "teamrun.teams",
    "SelectorGroupChat": "teamrun.teams",
    "TaskResult": "teamrun.core",
    "TeamTool": "teamrun.tools",
    "TeamrunError": "teamrun.errors",
    "TextMentionTermination": "teamrun.conditions",
    "TextMessage": "teamrun.messages",
    "ToolContext": "teamrun.tools",
    "UserProxyAgent": "teamrun.agents",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        value: Any = import_module("teamrun.version").VERSION
    elif name in _HOMES:
        value = getattr(import_module(_HOMES[name]), name)
    else:
        raise AttributeError(f"module 'teamrun' has no attribute {name!r}")
    globals()[name] = value  # found without this function from now on
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
