"""The main classes of AutoGen 0.2, synchronous, over the model clients and tools of Teamrun.

The two-agent form and the group chat, with functions. What is not here is an error that names the
page of the migration.
"""

from teamrun.compat.autogen.v02.agents import (
    AssistantAgent,
    ChatResult,
    ConversableAgent,
    UserProxyAgent,
    register_function,
)
from teamrun.compat.autogen.v02.configs import config_list_from_json, filter_config
from teamrun.compat.autogen.v02.groups import GroupChat, GroupChatManager

__all__ = [
    "AssistantAgent",
    "ChatResult",
    "ConversableAgent",
    "GroupChat",
    "GroupChatManager",
    "UserProxyAgent",
    "config_list_from_json",
    "filter_config",
    "register_function",
]
