"""Answers of a model that cannot be read, whatever its provider."""

from collections.abc import Sequence
from typing import Final

from teamrun.errors import ModelError
from teamrun.models.error_bodies import tidy

__all__ = ["READING", "unreadable", "unreadable_by"]

READING: Final = (ValueError, TypeError, AttributeError, LookupError, RecursionError)
"""What code raises that reads an answer of another form than it expects."""


def unreadable(why: str) -> ModelError:
    """The failure of an answer that the protocol does not allow."""
    return ModelError(f"The model's answer cannot be read: {why}", retryable=True, unreadable=True)


def unreadable_by(error: Exception, secrets: Sequence[str] = ()) -> ModelError:
    """The failure of an answer at which a reader has raised one of `READING`.

    Args:
        error: Only that of a parser says what is wrong; others tell of our variables.
        secrets: Values to remove from the message.
    """
    if isinstance(error, ValueError):
        return unreadable(tidy(str(error), secrets))
    if isinstance(error, RecursionError):
        return unreadable("its JSON is nested too deeply")
    return unreadable("its JSON has a form that is not known")
