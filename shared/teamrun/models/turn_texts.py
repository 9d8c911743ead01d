"""Texts that requests contain beside those of the conversation, the same for all providers."""

import json
from collections.abc import Sequence

from teamrun.json_types import JsonMapping, JsonObject
from teamrun.messages.arguments import read_arguments, sendable_arguments
from teamrun.messages.llm import AssistantMessage, LLMMessage

__all__ = ["DONE", "EMPTY", "GO_ON", "answer_in", "broken_calls", "instructed", "prefix_of"]

EMPTY = "(empty)"
"""Replaces an empty text, if the server refuses empty texts."""
GO_ON = "Continue."
"""The user's part of a turn in which only the model has spoken."""
DONE = "Done."
"""The model's part of a turn that ended with the results of tools."""

_ANSWER = (
    "{} answer with one JSON object and nothing else: no other text, no code fence. It must have "
    "this JSON schema:\n{}"
)
_SHOWN = 300
"""Characters of broken arguments that the model is shown again."""


def prefix_of(source: str) -> str:
    """The beginning of a text that names its author."""
    return f"{source} said:\n"


def answer_in(schema: JsonMapping, *, beside_tools: bool) -> str:
    """The instruction to answer in a form that the server does not enforce."""
    when = "When you do not call a tool," if beside_tools else "Always"
    return _ANSWER.format(when, json.dumps(schema, ensure_ascii=False))


def instructed(wire: Sequence[JsonObject], instructions: Sequence[str]) -> list[JsonObject]:
    """Messages in OpenAI's form with instructions at the end of the first system message."""
    text = "\n\n".join(instructions)
    if wire and wire[0]["role"] == "system":
        return [{**wire[0], "content": f"{wire[0]['content']}\n\n{text}"}, *wire[1:]]
    return [{"role": "system", "content": text}, *wire]


def broken_calls(messages: Sequence[LLMMessage]) -> dict[str, str]:
    """What to add to the results of calls whose arguments are not sent back, by their ids."""
    return {
        call.id: _hint(call.arguments)
        for message in messages
        if isinstance(message, AssistantMessage) and isinstance(message.content, list)
        for call in message.content
        if call.arguments.strip() and sendable_arguments(call.arguments) is None
    }


def _hint(arguments: str) -> str:
    cut = arguments if len(arguments) <= _SHOWN else f"{arguments[:_SHOWN]}..."
    try:
        read_arguments(arguments)
    except ValueError:
        return (
            "\nThe arguments of this call could not be read as a JSON object, so they are shown as"
            f" {{}} above. You wrote: {cut}\n"
            "To try again, call the tool with a complete JSON object."
        )
    return (
        "\nThe arguments of this call are too large or nested too deeply to be repeated, so they"
        f" are shown as {{}} above. You wrote: {cut}"
    )
