"""Structured answers of agents: read, and corrected by the model if they do not fit."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from teamrun.errors import ModelError, UnfitOutput
from teamrun.json_types import JsonObject
from teamrun.messages.llm import CreateResult, LLMMessage
from teamrun.models.structured_call import repair_messages, unfenced
from teamrun.validation import misfits

__all__ = ["StructuredAnswer", "fits", "fitting_answer", "read_content"]

ContentT = TypeVar("ContentT", bound=BaseModel)


class StructuredAnswer(NamedTuple):
    """An answer that fits."""

    content: BaseModel
    result: CreateResult
    """That of the answer, with the tokens of those that did not fit."""


def fits(form: type[BaseModel], text: str) -> bool:
    """Whether a model's answer fits a class."""
    return not isinstance(_read(form, text), list)


async def fitting_answer(
    form: type[BaseModel],
    result: CreateResult,
    ask_again: Callable[[list[LLMMessage]], Awaitable[CreateResult]],
    *,
    agent: str,
    repairs: int,
) -> StructuredAnswer:
    """A model's answer as the requested class; a Markdown fence around it is removed.

    Args:
        form: The class.
        result: The model's first answer.
        ask_again: Calls the model again, with messages behind the conversation.
        agent: The name of the agent, for messages.
        repairs: How often the model may correct its answer.

    Raises:
        UnfitOutput: No answer fits the class.
    """
    more: list[LLMMessage] = []
    while True:
        text = result.content if isinstance(result.content, str) else ""
        found = _read(form, text)
        if isinstance(found, BaseModel):
            return StructuredAnswer(found, result)
        if not repairs:
            raise UnfitOutput(_says(form, found, agent), text=text, problems=found)
        repairs -= 1
        more += repair_messages(text, [each["detail"] for each in found], source=agent)
        before, result = result.usage, await ask_again(more)
        result = result.model_copy(update={"usage": before + result.usage})


def read_content(form: type[ContentT], text: str, *, agent: str) -> ContentT:
    """A model's answer as the requested class.

    Raises:
        ModelError: The answer does not fit the class.
    """
    found = _read(form, text)
    if isinstance(found, form):
        return found
    assert isinstance(found, list), "the answer does not fit"
    raise ModelError(_says(form, found, agent), retryable=True, unreadable=True)


def _says(form: type[BaseModel], found: Sequence[JsonObject], agent: str) -> str:
    details = " ".join(each["detail"] for each in found)
    return f"The model's answer to agent {agent!r} does not fit {form.__name__}. {details}"


def _read(form: type[BaseModel], text: str) -> BaseModel | list[JsonObject]:
    """The content, or what does not fit."""
    answer = unfenced(text)
    try:
        return form.model_validate_json(answer)
    except ValidationError as error:
        return [
            {
                "pointer": "".join(f"/{step}" for step in misfit.path),
                "detail": misfit.sentence(
                    repr(".".join(map(str, misfit.path))) if misfit.path else "The answer"
                ),
            }
            for misfit in misfits(error, _parsed(answer))
        ]


def _parsed(answer: str) -> Any:
    try:
        return from_json(answer)
    except ValueError:
        return answer
