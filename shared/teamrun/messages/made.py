"""Messages of values that are valid already, without their validation.

Agents make several messages in each turn, of text and results that were checked before. Validation
would take half of the time that the library adds to a turn.
"""

from collections.abc import Sequence
from typing import TypeVar, cast

from pydantic_core import to_jsonable_python

from teamrun.messages.chat import BaseMessage, HandoffMessage
from teamrun.messages.construct import blank, made
from teamrun.messages.llm import (
    AssistantMessage,
    CreateResult,
    FunctionCall,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    ProviderData,
    RequestUsage,
    SystemMessage,
    UserMessage,
)
from teamrun.messages.origin import new_id, now

__all__ = [
    "checked_answer",
    "extended",
    "instructions",
    "made_answer",
    "made_handoff",
    "made_message",
    "made_question",
    "made_result",
    "made_results",
]

MessageT = TypeVar("MessageT", bound=BaseMessage)


def made_message(
    cls: type[MessageT],
    content: object,
    source: str,
    usage: RequestUsage | None = None,
    *,
    message_id: str = "",
) -> MessageT:
    """A message of a class that has only its content and its type besides the common fields."""
    message, values = blank(cls)
    values["id"] = message_id or new_id()
    values["source"] = source
    values["models_usage"] = usage
    values["metadata"] = {}
    values["created_at"] = now()
    values["content"] = content
    values["type"] = cls.__name__
    return message


def made_handoff(
    content: str, source: str, *, target: str, context: list[LLMMessage]
) -> HandoffMessage:
    """A handoff to another agent."""
    message, values = blank(HandoffMessage)
    values["id"] = new_id()
    values["source"] = source
    values["models_usage"] = None
    values["metadata"] = {}
    values["created_at"] = now()
    values["content"] = content
    values["target"] = target
    values["context"] = context
    values["type"] = "HandoffMessage"
    return message


def instructions(content: str) -> SystemMessage:
    """Instructions to a model.

    Raises:
        pydantic.ValidationError: They are no text.
    """
    if type(content) is not str:
        return SystemMessage(content=content)
    return made(SystemMessage, {"content": content, "type": "SystemMessage"})


def made_question(content: str) -> UserMessage:
    """A text for a model, as a user's."""
    message, values = blank(UserMessage)
    values["content"] = content
    values["source"] = "user"
    values["type"] = "UserMessage"
    return message


def extended(before: Sequence[LLMMessage], text: str) -> list[LLMMessage]:
    """Instructions with a further text, once, as one message: some models take no second one."""
    texts = [str(message.content) for message in before]
    return [instructions("\n\n".join(texts if text in "".join(texts) else [*texts, text]))]


def checked_answer(result: CreateResult) -> CreateResult:
    """A model's answer whose values have the types that messages are made of.

    A client may have made it by `model_construct`, which checks nothing.

    Raises:
        pydantic.ValidationError: It is no valid answer.
    """
    if type(result) is CreateResult:
        given = result.__dict__  # each attribute of a pydantic object takes as long as this
        content, thought, attached = given["content"], given["thought"], given["provider_data"]
        usage = given["usage"]
    else:
        content, thought, attached = result.content, result.thought, result.provider_data
        usage = cast("object", result.usage)
    if (
        (type(content) is str or _are_calls(content))
        and (usage is None or type(usage) is RequestUsage)
        and (thought is None or type(thought) is str)
        and (attached is None or type(attached) is ProviderData)
    ):
        return result
    return CreateResult.model_validate(to_jsonable_python(vars(result), serialize_unknown=True))


def _are_calls(content: object) -> bool:
    if type(content) is not list:
        return False
    for call in cast("list[object]", content):
        if type(call) is not FunctionCall:
            return False
        if not (type(call.id) is type(call.name) is type(call.arguments) is str):
            return False
    return True


def made_answer(result: CreateResult, source: str) -> AssistantMessage:
    """What a model answered, for the model context."""
    given = result.__dict__  # each attribute of a pydantic object takes as long as this
    message, values = blank(AssistantMessage)
    values["content"] = given["content"]
    values["thought"] = given["thought"]
    values["source"] = source
    values["type"] = "AssistantMessage"
    values["provider_data"] = given["provider_data"]
    return message


def made_result(
    content: str, *, name: str, call_id: str, is_error: bool
) -> FunctionExecutionResult:
    """The result of a tool call."""
    fields = {"content": content, "name": name, "call_id": call_id, "is_error": is_error}
    return made(FunctionExecutionResult, fields)


def made_results(results: Sequence[FunctionExecutionResult]) -> FunctionExecutionResultMessage:
    """The results of the calls of one answer."""
    fields = {"content": results, "type": "FunctionExecutionResultMessage"}
    return made(FunctionExecutionResultMessage, fields)
