"""Which version of the library's behaviour applies here.

A durable run keeps the behaviour of the release that accepted it (`runs/log/spec.py` lists the
versions), because a replay must make the same calls in the same order. Everywhere else the newest
behaviour applies.
"""

from contextvars import ContextVar

__all__ = ["current_behaviour", "has_behaviour"]

current_behaviour: ContextVar[int | None] = ContextVar("teamrun_behaviour", default=None)
"""The version that a run was accepted with; None outside a run."""


def has_behaviour(version: int) -> bool:
    """Whether what came with that version applies here."""
    current = current_behaviour.get()
    return current is None or current >= version
