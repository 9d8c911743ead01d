"""The named queues, in one table: a new queue is one member here and, if it has runs, one row."""

from enum import StrEnum

__all__ = ["MAX_REFS_PER_MESSAGE", "RUN_QUEUES", "Queue"]


class Queue(StrEnum):
    """A queue that messages are sent to."""

    INTERACTIVE = "interactive"
    """Runs whose client waits, and runs that continue after a signal."""
    BATCH = "batch"
    """Runs that were submitted by the thousand; they start when nothing interactive waits."""
    HOOKS = "hooks"
    """Deliveries to webhooks. A message names entries of logs, as `{run_id}-{n}`, and no runs. The
    deliverer of each worker takes from it, with places of its own."""


RUN_QUEUES = (Queue.INTERACTIVE, Queue.BATCH)
"""The queues whose messages name runs, in the order of priority in which a worker takes them."""

MAX_REFS_PER_MESSAGE = 50
"""Maximum number of runs that one message names. A worker with less capacity returns the rest, so a
larger message would be written again and again."""
