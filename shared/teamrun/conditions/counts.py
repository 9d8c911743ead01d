"""Conditions that count: messages, tokens, seconds."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from teamrun.conditions.base import SimpleTermination, count_of
from teamrun.core.checks import checked_count, checked_instance
from teamrun.core.protocols import AnyMessage
from teamrun.core.saved import damaged, saved_value
from teamrun.json_types import JsonMapping, JsonObject
from teamrun.messages import BaseChatMessage, RequestUsage
from teamrun.messages.origin import now

__all__ = ["MaxMessageTermination", "TimeoutTermination", "TokenUsageTermination"]

_LONGEST: Final = 10**13
"""Seconds; a `timedelta` has at most 8.6e13."""


class MaxMessageTermination(SimpleTermination):
    """Fires after a number of messages, those of the task included.

    Args:
        max_messages: The number.
        include_agent_event: Events (tool calls, thoughts) count as well.
    """

    stop_code = "max_messages"

    def __init__(self, max_messages: int = 100, include_agent_event: bool = False) -> None:
        super().__init__()
        self._max_messages = checked_count(max_messages, parameter="max_messages")
        self._include_agent_event = include_agent_event
        self._message_count = 0

    def _check(self, messages: Sequence[AnyMessage]) -> str | None:
        if self._include_agent_event:
            self._message_count += len(messages)
        else:
            for message in messages:
                if isinstance(message, BaseChatMessage):
                    self._message_count += 1
        if self._message_count < self._max_messages:
            return None
        return (
            f"Maximum number of messages {self._max_messages} reached, "
            f"current message count: {self._message_count}"
        )

    def _counted(self) -> JsonObject:
        return {"message_count": self._message_count}

    def _restore(self, state: JsonMapping) -> None:
        self._message_count = count_of(state, "message_count")


class TokenUsageTermination(SimpleTermination):
    """Fires when the model calls of a run have used a number of tokens.

    It counts the `models_usage` of messages and events, and the usage of the team's own model
    calls (a selector's).

    Raises:
        ValueError: None of the three limits is given.
    """

    stop_code = "token_usage"

    def __init__(
        self,
        max_total_token: int | None = None,
        max_prompt_token: int | None = None,
        max_completion_token: int | None = None,
    ) -> None:
        super().__init__()
        if max_total_token is None and max_prompt_token is None and max_completion_token is None:
            raise ValueError(
                "At least one of max_total_token, max_prompt_token, or max_completion_token "
                "must be provided"
            )
        self._max_total_token = _limit(max_total_token, "max_total_token")
        self._max_prompt_token = _limit(max_prompt_token, "max_prompt_token")
        self._max_completion_token = _limit(max_completion_token, "max_completion_token")
        self._prompt_tokens = 0
        self._completion_tokens = 0

    def count_usage(self, usage: RequestUsage) -> None:
        """Add the tokens of a model call that no message carries."""
        self._prompt_tokens += usage.prompt_tokens
        self._completion_tokens += usage.completion_tokens

    def _check(self, messages: Sequence[AnyMessage]) -> str | None:
        for message in messages:
            if message.models_usage is not None:
                self.count_usage(message.models_usage)
        total = self._prompt_tokens + self._completion_tokens
        if not (
            _reached(total, self._max_total_token)
            or _reached(self._prompt_tokens, self._max_prompt_token)
            or _reached(self._completion_tokens, self._max_completion_token)
        ):
            return None
        return (
            f"Token usage limit reached, total token count: {total}, "
            f"prompt token count: {self._prompt_tokens}, "
            f"completion token count: {self._completion_tokens}."
        )

    def _counted(self) -> JsonObject:
        return {
            "prompt_tokens": self._prompt_tokens,
            "completion_tokens": self._completion_tokens,
        }

    def _restore(self, state: JsonMapping) -> None:
        self._prompt_tokens = count_of(state, "prompt_tokens")
        self._completion_tokens = count_of(state, "completion_tokens")


def _limit(value: int | None, parameter: str) -> int | None:
    return None if value is None else checked_count(value, parameter=parameter)


def _reached(count: int, limit: int | None) -> bool:
    return limit is not None and count >= limit


class TimeoutTermination(SimpleTermination):
    """Fires at the end of the turn in which `timeout_seconds` have passed.

    The clock starts with the first run of the team, not with the construction of the condition.
    It is the clock of messages: in a durable run, the time of the run's log.
    """

    stop_code = "timeout"

    def __init__(self, timeout_seconds: float) -> None:
        super().__init__()
        checked_instance(
            timeout_seconds, (int, float), parameter="timeout_seconds", expected="a number"
        )
        if not timeout_seconds >= 0:
            raise ValueError(f"timeout_seconds must be 0 or more, not {timeout_seconds}.")
        self._timeout_seconds = timeout_seconds
        self._started_at: datetime | None = None
        self._spent = timedelta()

    def start(self) -> None:
        """Start the clock, unless it runs."""
        if self._started_at is None:
            self._started_at = now()

    def _check(self, messages: Sequence[AnyMessage]) -> str | None:
        self.start()  # for callers that use the condition without a team
        if self._elapsed() < timedelta(seconds=self._timeout_seconds):
            return None
        return f"Timeout of {self._timeout_seconds} seconds reached"

    def _elapsed(self) -> timedelta:
        if self._started_at is None:
            return self._spent
        return self._spent + (now() - self._started_at)

    def _counted(self) -> JsonObject:
        return {"elapsed_seconds": max(0.0, self._elapsed().total_seconds())}

    def _restore(self, state: JsonMapping) -> None:
        self._started_at = None
        expected = "a number of seconds"
        spent = saved_value(state, "elapsed_seconds", (int, float), expected) if state else 0
        if not 0 <= spent <= _LONGEST:  # false for NaN, too
            raise damaged("elapsed_seconds", f"must be {expected} from 0 to {_LONGEST}")
        self._spent = timedelta(seconds=spent)
