"""The end of a turn after tool calls: a handover, or a summary of the results."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from teamrun.agents.handoff import Handoff
from teamrun.messages.chat import HandoffMessage, ToolCallSummaryMessage
from teamrun.messages.llm import (
    AssistantMessage,
    FunctionCall,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    ProviderData,
)
from teamrun.messages.made import made_handoff

__all__ = ["SummaryFormatter", "handoff_message", "summary_message"]

SummaryFormatter: TypeAlias = Callable[[FunctionCall, FunctionExecutionResult], str]
"""Writes one tool call and its result as text."""


def handoff_message(
    calls: Sequence[FunctionCall],
    results: Sequence[FunctionExecutionResult],
    *,
    handoffs: Mapping[str, Handoff],
    source: str,
    thought: str | None,
    provider_data: ProviderData | None = None,
) -> HandoffMessage | None:
    """The handover that the model requested, with the other calls of the turn as its context.

    None if it requested none; the first one if it requested several.
    """
    requested = [call.name for call in calls if call.name in handoffs]
    if not requested:
        return None
    if len(requested) > 1:
        warnings.warn(
            f"Multiple handoffs detected. Only the first is executed: {requested}. "
            "Turn parallel tool calls off in the model client to avoid this warning.",
            stacklevel=3,
        )
    selected = handoffs[requested[0]]
    context: list[LLMMessage] = []
    others = [call for call in calls if call.name not in handoffs]
    if others:
        context = [
            AssistantMessage(
                content=others, source=source, thought=thought, provider_data=provider_data
            ),
            FunctionExecutionResultMessage(
                content=[result for result in results if result.name not in handoffs]
            ),
        ]
    elif thought:
        context = [AssistantMessage(content=thought, source=source)]
    return made_handoff(selected.message, source, target=selected.target, context=context)


def summary_message(
    calls: Sequence[FunctionCall],
    results: Sequence[FunctionExecutionResult],
    *,
    formatter: SummaryFormatter | None,
    template: str,
    source: str,
) -> ToolCallSummaryMessage:
    """The results as an answer, one below the other.

    Args:
        calls: The calls of the turn, in the order of the model's answer.
        results: The result of each call, in the same order.
        formatter: Replaces `template` if given.
        template: A format string with `{tool_name}`, `{arguments}`, `{result}`, `{is_error}`.
        source: The name of the agent that called the tools.
    """

    def from_template(call: FunctionCall, result: FunctionExecutionResult) -> str:
        return template.format(
            tool_name=call.name,
            arguments=call.arguments,
            result=result.content,
            is_error=result.is_error,
        )

    write = formatter or from_template
    return ToolCallSummaryMessage(
        content="\n".join(write(call, result) for call, result in zip(calls, results, strict=True)),
        source=source,
        tool_calls=list(calls),
        results=list(results),
    )
