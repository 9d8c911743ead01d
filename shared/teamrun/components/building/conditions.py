"""Termination conditions made of the canonical form."""

from typing import assert_never

from teamrun.components.definitions import conditions as data
from teamrun.conditions import (
    AndTerminationCondition,
    ExternalTermination,
    FunctionCallTermination,
    HandoffTermination,
    MaxMessageTermination,
    OrTerminationCondition,
    SourceMatchTermination,
    StopMessageTermination,
    TerminationCondition,
    TextMentionTermination,
    TextMessageTermination,
    TimeoutTermination,
    TokenUsageTermination,
)

__all__ = ["build_condition"]


def build_condition(definition: data.ConditionDefinition) -> TerminationCondition:
    """A fresh condition."""
    match definition:
        case data.OrDefinition():
            return OrTerminationCondition(*map(build_condition, definition.conditions))
        case data.AndDefinition():
            return AndTerminationCondition(*map(build_condition, definition.conditions))
        case (
            data.TextMentionDefinition()
            | data.SourceMatchDefinition()
            | data.TextMessageDefinition()
            | data.StopMessageDefinition()
        ):
            return _by_text(definition)
        case data.MaxMessagesDefinition() | data.TokenUsageDefinition() | data.TimeoutDefinition():
            return _by_count(definition)
        case data.HandoffTerminationDefinition():
            return HandoffTermination(definition.target)
        case data.FunctionCallDefinition():
            return FunctionCallTermination(definition.function_name)
        case data.ExternalDefinition():
            return ExternalTermination()
        case _:
            assert_never(definition)


def _by_text(
    definition: data.TextMentionDefinition
    | data.SourceMatchDefinition
    | data.TextMessageDefinition
    | data.StopMessageDefinition,
) -> TerminationCondition:
    match definition:
        case data.TextMentionDefinition():
            return TextMentionTermination(
                definition.text, definition.sources, ignore_case=definition.ignore_case
            )
        case data.SourceMatchDefinition():
            return SourceMatchTermination(definition.sources)
        case data.TextMessageDefinition():
            return TextMessageTermination(definition.source)
        case data.StopMessageDefinition():
            return StopMessageTermination()
        case _:
            assert_never(definition)


def _by_count(
    definition: data.MaxMessagesDefinition | data.TokenUsageDefinition | data.TimeoutDefinition,
) -> TerminationCondition:
    match definition:
        case data.MaxMessagesDefinition():
            return MaxMessageTermination(
                definition.max_messages, include_agent_event=definition.include_agent_event
            )
        case data.TokenUsageDefinition():
            return TokenUsageTermination(
                definition.max_total_token,
                definition.max_prompt_token,
                definition.max_completion_token,
            )
        case data.TimeoutDefinition():
            return TimeoutTermination(definition.timeout_seconds)
        case _:
            assert_never(definition)
