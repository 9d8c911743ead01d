"""Conditions on the text and the source of messages."""

from collections.abc import Sequence

from teamrun.conditions.base import SimpleTermination
from teamrun.core.checks import checked_instance, checked_list
from teamrun.core.protocols import AnyMessage
from teamrun.messages import StopMessage, TextMessage

__all__ = [
    "SourceMatchTermination",
    "StopMessageTermination",
    "TextMentionTermination",
    "TextMessageTermination",
]


class TextMentionTermination(SimpleTermination):
    """Fires when a message or event contains a text: the task and tool results count as well.

    Args:
        text: The text to find.
        sources: Only messages of these agents count; None: of all, the user included.
        ignore_case: Upper and lower case are the same.
    """

    stop_code = "text_mention"

    def __init__(
        self,
        text: str = "TERMINATE",
        sources: Sequence[str] | None = None,
        *,
        ignore_case: bool = False,
    ) -> None:
        super().__init__()
        checked_instance(text, str, parameter="text", expected="a text")
        if not text:
            raise ValueError("text must not be empty: every message contains an empty text.")
        self._text = text
        self._needle = text.casefold() if ignore_case else text
        self._sources = (
            None
            if sources is None
            else frozenset(checked_list(sources, parameter="sources", expected="a list of names"))
        )
        self._ignore_case = ignore_case

    def _check(self, messages: Sequence[AnyMessage]) -> str | None:
        for message in messages:
            if self._sources is not None and message.source not in self._sources:
                continue
            text = message.to_text()
            if self._needle in (text.casefold() if self._ignore_case else text):
                return f"Text '{self._text}' mentioned"
        return None


class StopMessageTermination(SimpleTermination):
    """Fires when an agent sends a `StopMessage`."""

    stop_code = "stop_message"

    def _check(self, messages: Sequence[AnyMessage]) -> str | None:
        if any(isinstance(message, StopMessage) for message in messages):
            return "Stop message received"
        return None


class TextMessageTermination(SimpleTermination):
    """Fires when any source, or only `source`, sends a `TextMessage`."""

    stop_code = "text_message"

    def __init__(self, source: str | None = None) -> None:
        super().__init__()
        self._source = source

    def _check(self, messages: Sequence[AnyMessage]) -> str | None:
        for message in messages:
            if isinstance(message, TextMessage) and self._source in (None, message.source):
                return f"Text message received from '{message.source}'"
        return None


class SourceMatchTermination(SimpleTermination):
    """Fires when one of the agents `sources` has answered."""

    stop_code = "source_match"

    def __init__(self, sources: Sequence[str]) -> None:
        super().__init__()
        self._sources = frozenset(
            checked_list(sources, parameter="sources", expected="a list of names")
        )

    def _check(self, messages: Sequence[AnyMessage]) -> str | None:
        for message in messages:
            if message.source in self._sources:
                return f"'{message.source}' answered"
        return None
