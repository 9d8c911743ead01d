"""How agents and topics are addressed.

Source: `AgentId` and `TopicId` of autogen-core 0.7.5; topic types follow the attribute `type` of
CloudEvents 1.0.
"""

import re
from dataclasses import dataclass
from typing import Final, Self, TypedDict

from teamrun.core.actors.contexts import MessageHandlerContext

__all__ = ["AgentId", "AgentMetadata", "AgentType", "DefaultTopicId", "TopicId"]

_AGENT_TYPE: Final = r"^[\w\-\.]+\Z"
_TOPIC_TYPE: Final = r"^[\w\-\.\:\=]+\Z"


@dataclass(frozen=True)
class AgentType:
    """The name under which agents were registered."""

    type: str


class AgentMetadata(TypedDict):
    """What a runtime knows of an agent."""

    type: str
    key: str
    description: str


@dataclass(frozen=True, init=False, repr=False)
class AgentId:
    """The address of one agent.

    Args:
        type: The name under which it was registered: letters, digits, `_`, `-` and `.`.
        key: Which instance, such as the id of a conversation.

    Raises:
        ValueError: The type has other characters.
    """

    type: str
    key: str

    def __init__(self, type: str | AgentType, key: str = "default") -> None:
        name = type.type if isinstance(type, AgentType) else type
        if not re.match(_AGENT_TYPE, name):
            raise ValueError(
                f"Invalid agent type: {name}. Allowed values MUST match the regex: `{_AGENT_TYPE}`"
            )
        object.__setattr__(self, "type", name)
        object.__setattr__(self, "key", key)

    @classmethod
    def from_str(cls, agent_id: str) -> Self:
        """The id of the text `type/key`."""
        return cls(*_parts(agent_id, "agent"))

    def __str__(self) -> str:
        return f"{self.type}/{self.key}"

    def __repr__(self) -> str:
        return f'AgentId(type="{self.type}", key="{self.key}")'


@dataclass(frozen=True)
class TopicId:
    """The address of a broadcast.

    Raises:
        ValueError: The type has characters other than letters, digits, `_`, `-`, `.`, `:`, `=`.
    """

    type: str
    """The kind of messages."""
    source: str = "default"
    """Where they come from. A subscription makes it the key of the agent that receives them."""

    def __post_init__(self) -> None:
        if not re.match(_TOPIC_TYPE, self.type):
            raise ValueError(
                f"Invalid topic type: {self.type}. Must match the pattern: {_TOPIC_TYPE}"
            )

    @classmethod
    def from_str(cls, topic_id: str) -> Self:
        """The id of the text `type/source`."""
        return cls(*_parts(topic_id, "topic"))

    def __eq__(self, other: object) -> bool:  # also to one of a derived class
        if not isinstance(other, TopicId):
            return NotImplemented
        return (self.type, self.source) == (other.type, other.source)

    def __str__(self) -> str:
        return f"{self.type}/{self.source}"


class DefaultTopicId(TopicId):
    """A topic whose source is by default the key of the agent that handles a message now.

    So agents with one key form a group that does not hear the others. Outside of a handler the
    source is `default`.
    """

    def __init__(self, type: str = "default", source: str | None = None) -> None:
        if source is None:
            agent = MessageHandlerContext.current()
            source = "default" if agent is None else agent.key
        super().__init__(type, source)


def _parts(text: str, kind: str) -> tuple[str, str]:
    first, slash, second = text.partition("/")
    if not slash:
        raise ValueError(f"Invalid {kind} id: {text}")
    return first, second
