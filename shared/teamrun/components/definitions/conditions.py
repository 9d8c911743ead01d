"""Termination conditions as data."""

from typing import Literal, Self

from pydantic import Field, model_validator

from teamrun.components.definitions.base import (
    BaseConditionDefinition,
    ConditionDefinition,
    FunctionName,
)
from teamrun.models.scalars import Count, Seconds, Switch

__all__ = [
    "AndDefinition",
    "ExternalDefinition",
    "FunctionCallDefinition",
    "FunctionalDefinition",
    "HandoffTerminationDefinition",
    "MaxMessagesDefinition",
    "OrDefinition",
    "SourceMatchDefinition",
    "StopMessageDefinition",
    "TextMentionDefinition",
    "TextMessageDefinition",
    "TimeoutDefinition",
    "TokenUsageDefinition",
]


class TextMentionDefinition(BaseConditionDefinition):
    """Stops when a message contains a text."""

    type: Literal["text_mention"] = "text_mention"
    text: str = Field(default="TERMINATE", min_length=1)
    sources: tuple[str, ...] | None = None
    """Only messages of these agents count."""
    ignore_case: Switch = False


class MaxMessagesDefinition(BaseConditionDefinition):
    """Stops after a number of messages, those of the task included."""

    type: Literal["max_messages"] = "max_messages"
    max_messages: Count = 100
    include_agent_event: Switch = False


class StopMessageDefinition(BaseConditionDefinition):
    """Stops when an agent sends a StopMessage."""

    type: Literal["stop_message"] = "stop_message"


class TokenUsageDefinition(BaseConditionDefinition):
    """Stops when the model calls of a run have used a number of tokens."""

    type: Literal["token_usage"] = "token_usage"
    max_total_token: Count | None = None
    max_prompt_token: Count | None = None
    max_completion_token: Count | None = None

    @model_validator(mode="after")
    def _one_is_given(self) -> Self:
        if not (self.max_total_token or self.max_prompt_token or self.max_completion_token):
            raise ValueError(
                "one of max_total_token, max_prompt_token and max_completion_token is needed"
            )
        return self


class HandoffTerminationDefinition(BaseConditionDefinition):
    """Stops when an agent hands over to `target`."""

    type: Literal["handoff"] = "handoff"
    target: str = Field(min_length=1)


class TimeoutDefinition(BaseConditionDefinition):
    """Stops at the end of the turn during which the timeout elapses."""

    type: Literal["timeout"] = "timeout"
    timeout_seconds: Seconds


class ExternalDefinition(BaseConditionDefinition):
    """Stops when the program that runs the team requests it."""

    type: Literal["external"] = "external"


class SourceMatchDefinition(BaseConditionDefinition):
    """Stops when one of these agents has answered."""

    type: Literal["source_match"] = "source_match"
    sources: tuple[str, ...] = Field(min_length=1)


class TextMessageDefinition(BaseConditionDefinition):
    """Stops when a text message was sent: by `source`, or by anyone, with the task included."""

    type: Literal["text_message"] = "text_message"
    source: str | None = None


class FunctionCallDefinition(BaseConditionDefinition):
    """Stops when a tool of that name was executed."""

    type: Literal["function_call"] = "function_call"
    function_name: str = Field(min_length=1)


class FunctionalDefinition(BaseConditionDefinition):
    """Stops when a registered function returns true, or when a condition of one's own fires."""

    type: Literal["functional"] = "functional"
    function: FunctionName
    """The function, or the class of the condition."""

    @property
    def functions(self) -> tuple[str, ...]:
        """The function."""
        return (self.function,)


class _CombinedDefinition(BaseConditionDefinition):
    conditions: tuple[ConditionDefinition, ...] = Field(min_length=1)

    @property
    def functions(self) -> tuple[str, ...]:
        """Those of its conditions."""
        return tuple(name for each in self.conditions for name in each.functions)


class OrDefinition(_CombinedDefinition):
    """Stops when any of the conditions does."""

    type: Literal["or"] = "or"


class AndDefinition(_CombinedDefinition):
    """Stops when all of the conditions have stopped."""

    type: Literal["and"] = "and"
