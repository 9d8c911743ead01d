"""The errors of the actor runtime, under AutoGen's names.

ActorError                   the base of all
  CantHandleException        an agent or a subscription cannot take this message or topic
  UndeliverableException     a message did not reach its recipient, and will not
  MessageDroppedException    an intervention handler dropped a message
  NotAccessibleError         the object is not in this process
"""

from typing import Any

from teamrun.errors import TeamrunError

__all__ = [
    "ActorError",
    "CantHandleException",
    "MessageDroppedException",
    "NotAccessibleError",
    "UndeliverableException",
]


class ActorError(TeamrunError):
    """The base of the errors below; each of them can be raised without a message."""

    code = "actor_error"

    def __init__(self, message: str = "", **data: Any) -> None:
        super().__init__(message, **data)


class CantHandleException(ActorError):
    """An agent does not handle this type of message, or a subscription does not match a topic."""

    code = "cannot_handle"


class UndeliverableException(ActorError):
    """The runtime was stopped before the message was handled."""

    code = "undeliverable"


class MessageDroppedException(ActorError):
    """An intervention handler returned `DropMessage` for a message, or for its response."""

    code = "message_dropped"


class NotAccessibleError(ActorError):
    """The agent lives in another process; a runtime of your own can raise it."""

    code = "not_accessible"
