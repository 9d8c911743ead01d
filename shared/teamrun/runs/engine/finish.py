"""How an execution finished, and what becomes of the queue message that started it."""

from enum import StrEnum

__all__ = ["Finish", "Receipt"]


class Receipt(StrEnum):
    """What a queue adapter does with the message of an execution."""

    ACKNOWLEDGE = "acknowledge"
    """Delete the message: nothing is left to do, or another message has been sent."""
    RETURN = "return"
    """Return the message to the queue at once, for another process."""
    RETURN_LATER = "return_later"
    """Return the message, to be delivered after `Executor.pause`. A queue that cannot delay a
    message acknowledges it, if a reaper runs beside it: the reaper sends the run again."""


class Finish(StrEnum):
    """How an execution finished."""

    ENDED = "ended"
    """The run has ended."""
    YIELDED = "yielded"
    """This worker released the run; another worker should continue it."""
    WAITING = "waiting"
    """The run waits for a person or a time and needs no worker until then."""
    HELD = "held"
    """Another worker executes the run, or this one may not."""
    ABSENT = "absent"
    """The run does not exist, or does not exist yet."""
    REFUSED = "refused"
    """This process is shutting down, has no time left, or could not send the run to the queue;
    another process should execute it."""
    UNREADABLE = "unreadable"
    """The log of the run is damaged, or of a newer release; nothing was written."""
    FAILED = "failed"
    """An error prevented the execution; the reaper will send the run again."""

    @property
    def receipt(self) -> Receipt:
        """What a queue adapter does with the message."""
        match self:
            case Finish.ENDED | Finish.YIELDED | Finish.WAITING | Finish.ABSENT:
                return Receipt.ACKNOWLEDGE
            case Finish.REFUSED:
                return Receipt.RETURN
            case Finish.HELD | Finish.FAILED | Finish.UNREADABLE:
                return Receipt.RETURN_LATER
