"""The observer of the time that a model call waits for its turn."""

from collections.abc import Callable
from contextvars import ContextVar

__all__ = ["OnWait", "on_wait"]

OnWait = Callable[[float], None]
"""Called with the seconds that a call has waited for its turn."""

on_wait: ContextVar[OnWait | None] = ContextVar("teamrun_on_wait", default=None)
"""The observer of waits in this context; they are no part of the duration of a call."""
