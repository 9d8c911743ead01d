"""Calls of models and tools for AutoGen's event logger, `autogen_core.events`.

The events contain prompts and results, so nothing is logged unless the program sets a level on that
logger or on `autogen_core`; a level of the root logger does not suffice.
"""

import json
import logging
from collections.abc import Sequence
from typing import Any, Final

from pydantic_core import to_jsonable_python

from teamrun.json_types import JsonMapping, JsonObject
from teamrun.messages.llm import CreateResult, LLMMessage

__all__ = [
    "EVENT_LOGGER_NAME",
    "ROOT_LOGGER_NAME",
    "TRACE_LOGGER_NAME",
    "LLMCallEvent",
    "LLMStreamEndEvent",
    "LLMStreamStartEvent",
    "ToolCallEvent",
    "is_wanted",
    "log_model_call",
    "log_stream_end",
    "log_stream_start",
    "log_tool_call",
]

ROOT_LOGGER_NAME: Final = "autogen_core"
EVENT_LOGGER_NAME: Final = "autogen_core.events"
TRACE_LOGGER_NAME: Final = "autogen_core.trace"

_ROOT: Final = logging.getLogger(ROOT_LOGGER_NAME)
_EVENTS: Final = logging.getLogger(EVENT_LOGGER_NAME)


class _Event:
    type = ""

    def __init__(self, **fields: Any) -> None:
        self.kwargs: JsonObject = {**fields, "type": self.type, "agent_id": None}

    def __str__(self) -> str:
        """The event as JSON."""
        return json.dumps(to_jsonable_python(self.kwargs, fallback=str))


class _WithTokens(_Event):
    @property
    def prompt_tokens(self) -> int:
        """Tokens of the prompt."""
        return self.kwargs["prompt_tokens"]

    @property
    def completion_tokens(self) -> int:
        """Tokens of the answer."""
        return self.kwargs["completion_tokens"]


class LLMCallEvent(_WithTokens):
    """A model has answered: `messages`, `response`, `prompt_tokens`, `completion_tokens`."""

    type = "LLMCall"


class LLMStreamStartEvent(_Event):
    """A model begins to answer in a stream: `messages`."""

    type = "LLMStreamStart"


class LLMStreamEndEvent(_WithTokens):
    """A stream has ended: `response`, `prompt_tokens`, `completion_tokens`."""

    type = "LLMStreamEnd"


class ToolCallEvent(_Event):
    """A tool has returned: `tool_name`, `arguments`, `result`."""

    type = "ToolCall"


def is_wanted() -> bool:
    """Whether the program has turned the events on."""
    return bool(_EVENTS.level or _ROOT.level) and _EVENTS.isEnabledFor(logging.INFO)


def log_model_call(messages: Sequence[LLMMessage], result: CreateResult) -> None:
    """Log an `LLMCallEvent`."""
    _EVENTS.info(LLMCallEvent(messages=_dumped(messages), **_answer(result)))


def log_stream_start(messages: Sequence[LLMMessage]) -> None:
    """Log an `LLMStreamStartEvent`."""
    _EVENTS.info(LLMStreamStartEvent(messages=_dumped(messages)))


def log_stream_end(result: CreateResult) -> None:
    """Log an `LLMStreamEndEvent`."""
    _EVENTS.info(LLMStreamEndEvent(**_answer(result)))


def log_tool_call(name: str, arguments: JsonMapping, result: str) -> None:
    """Log a `ToolCallEvent`."""
    _EVENTS.info(ToolCallEvent(tool_name=name, arguments=dict(arguments), result=result))


def _dumped(messages: Sequence[LLMMessage]) -> list[JsonObject]:
    return [message.model_dump(mode="json") for message in messages]


def _answer(result: CreateResult) -> JsonObject:
    return {
        "response": result.model_dump(mode="json"),
        "prompt_tokens": result.usage.prompt_tokens,
        "completion_tokens": result.usage.completion_tokens,
    }
