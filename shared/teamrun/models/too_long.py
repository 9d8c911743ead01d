"""Conversations that do not fit into a model's window: one code, whatever the provider says."""

import re
from typing import Final

__all__ = ["CONTEXT_LENGTH_EXCEEDED", "code_of"]

CONTEXT_LENGTH_EXCEEDED: Final = "context_length_exceeded"
"""OpenAI's code."""

_GENERAL: Final = frozenset(
    {"400", "3051", "badrequesterror", "invalid_request_error", "validationexception"}
)
"""Codes of providers that say in words alone what is wrong with a request."""
_TOO_LONG: Final = re.compile(
    r"input is too long|prompt is too long|too many input tokens|input tokens exceeded"
    r"|exceeds? (?:the )?(?:maximum |available )?context|context (?:length|limit|window)"
    r"|maximum context|exceeds? the maximum (?:number of )?(?:input )?(?:tokens|length)"
    r"|input length .* exceed",
    re.IGNORECASE,
)
"""The words of the different models for a conversation that is larger than their window."""


def code_of(code: str | None, words: str) -> str | None:
    """The code of an error.

    Args:
        code: The provider's own, if it gave one.
        words: The provider's words, which count if its code says no more than that the request is
            wrong.
    """
    if (code is None or code.lower() in _GENERAL) and _TOO_LONG.search(words):
        return CONTEXT_LENGTH_EXCEEDED
    return code
