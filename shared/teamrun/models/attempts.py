"""The attempts of one model call: what a client that retries and its caller tell each other."""

from collections.abc import Callable
from contextvars import ContextVar
from datetime import timedelta

from teamrun.errors import ModelError

__all__ = ["OnFallback", "OnRetry", "answering", "broken_off", "on_fallback", "on_retry"]

OnRetry = Callable[[int, timedelta, ModelError], None]
"""Called before each wait with the number of failed attempts, the wait and the last failure."""

on_retry: ContextVar[OnRetry | None] = ContextVar("teamrun_on_retry", default=None)
"""The observer of retries in this context; the engine emits events for them."""

OnFallback = Callable[[str, str, ModelError], None]
"""Called before another profile is asked, with the name of the one that failed, the name of the
next one, and the failure."""

on_fallback: ContextVar[OnFallback | None] = ContextVar("teamrun_on_fallback", default=None)
"""The observer of fallbacks in this context; the engine emits events for them."""

answering: ContextVar[str | None] = ContextVar("teamrun_answering", default=None)
"""The profile that stands in for the one that was called, and answers now."""

broken_off: ContextVar[ModelError | None] = ContextVar("teamrun_broken_off", default=None)
"""The error of a stream of the same model call, after it had yielded text."""
