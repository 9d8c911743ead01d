"""Messages of values that are valid already, without their validation.

Agents make several messages in each turn, of text and results that were checked before. Validation
would take half of the time that the library adds to a turn.
"""

from collections.abc import Sequence
from typing import Any, Final, TypeVar

from pydantic import BaseModel

from teamrun.json_types import JsonObject
from teamrun.messages.chat import BaseMessage
from teamrun.messages.llm import (
    AssistantMessage,
    CreateResult,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    RequestUsage,
)
from teamrun.messages.origin import new_id, now

__all__ = ["made_answer", "made_message", "made_result", "made_results"]

MessageT = TypeVar("MessageT", bound=BaseMessage)
ModelT = TypeVar("ModelT", bound=BaseModel)

_new: Final = object.__new__
_set: Final = object.__setattr__
# The layout of pydantic 2, as its `model_construct` fills it; a test compares both.
_set_fields_set: Final[Any] = vars(BaseModel)["__pydantic_fields_set__"].__set__
_set_extra: Final[Any] = vars(BaseModel)["__pydantic_extra__"].__set__
_set_private: Final[Any] = vars(BaseModel)["__pydantic_private__"].__set__


def made_message(
    cls: type[MessageT],
    content: object,
    source: str,
    usage: RequestUsage | None = None,
    *,
    message_id: str = "",
) -> MessageT:
    """A message of a class that has only its content and its type besides the common fields."""
    fields: JsonObject = {
        "id": message_id or new_id(),
        "source": source,
        "models_usage": usage,
        "metadata": {},
        "created_at": now(),
        "content": content,
        "type": cls.__name__,
    }
    return _made(cls, fields, {"id", "source", "models_usage", "content"})


def made_answer(result: CreateResult, source: str) -> AssistantMessage:
    """What a model answered, for the model context."""
    fields: JsonObject = {
        "content": result.content,
        "thought": result.thought,
        "source": source,
        "type": "AssistantMessage",
        "provider_data": result.provider_data,
    }
    return _made(AssistantMessage, fields, {"content", "thought", "source", "provider_data"})


def made_result(
    content: str, *, name: str, call_id: str, is_error: bool
) -> FunctionExecutionResult:
    """The result of a tool call."""
    fields = {"content": content, "name": name, "call_id": call_id, "is_error": is_error}
    return _made(FunctionExecutionResult, fields, set(fields))


def made_results(results: Sequence[FunctionExecutionResult]) -> FunctionExecutionResultMessage:
    """The results of the calls of one answer."""
    fields = {"content": results, "type": "FunctionExecutionResultMessage"}
    return _made(FunctionExecutionResultMessage, fields, {"content"})


def _made(cls: type[ModelT], fields: JsonObject, given: set[str]) -> ModelT:
    """An object of a class without private attributes.

    Args:
        cls: The class of the message.
        fields: A value for every field, in the order of the class, valid and of the exact type.
        given: The fields that are not default values.
    """
    message = _new(cls)
    _set(message, "__dict__", fields)
    _set_fields_set(message, given)
    _set_extra(message, None)
    _set_private(message, None)
    return message
