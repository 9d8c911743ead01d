"""The version of the library's behaviour that applies to the current code.

A durable run keeps the behaviour of the release that accepted it (`runs/log/spec.py` lists the
versions), because a replay must make the same calls in the same order. Everywhere else the newest
behaviour applies.
"""

from contextvars import ContextVar

__all__ = ["current_behaviour", "has_behaviour"]

current_behaviour: ContextVar[int | None] = ContextVar("teamrun_behaviour", default=None)
"""The version with which the run was accepted; None outside a run."""


def has_behaviour(version: int) -> bool:
    """Whether the changes of that version apply to the current code."""
    current = current_behaviour.get()
    return current is None or current >= version
