"""Validation of an assistant's arguments, and what a model is able to see."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pydantic import BaseModel

from teamrun.agents.toolset import AnyTool
from teamrun.core.checks import checked_count, checked_instance, wrong_type
from teamrun.messages.llm import LLMMessage, UserMessage
from teamrun.models.base import ChatCompletionClient
from teamrun.tools.workbench import Workbench

if TYPE_CHECKING:
    from teamrun.memory.base import Memory

__all__ = [
    "DEFAULT_REPAIRS",
    "ImagelessView",
    "checked_content_type",
    "checked_iterations",
    "checked_memory",
    "checked_model",
    "checked_workbenches",
]


DEFAULT_REPAIRS = 2
"""How often a model may correct an answer that does not fit."""


def checked_memory(memory: "Sequence[Memory] | None") -> "list[Memory]":
    """The memories of an agent.

    Raises:
        TypeError: It is not a list.
    """
    if memory is not None and not isinstance(memory, list):
        raise wrong_type("memory", "a list of Memory or None", memory)
    return memory or []


def checked_model(model_client: ChatCompletionClient, *, parameter: str) -> ChatCompletionClient:
    """The model client; a class of the user's own needs only the same methods.

    Raises:
        TypeError: It is none.
    """
    info = getattr(model_client, "model_info", None)
    if not (type(info) is dict or isinstance(info, Mapping)):
        expected = "a model client, such as OpenAIChatCompletionClient(model=...)"
        raise wrong_type(parameter, expected, model_client)
    return model_client


def checked_content_type(content_type: type[BaseModel] | None) -> type[BaseModel] | None:
    """The class of an agent's structured answers.

    Raises:
        TypeError: It is no pydantic class.
    """
    if content_type is None or (
        isinstance(content_type, type) and issubclass(content_type, BaseModel)  # pyright: ignore[reportUnnecessaryIsInstance] - callers without a type checker
    ):
        return content_type
    raise wrong_type("output_content_type", "a class derived from BaseModel", content_type)


def checked_workbenches(
    tools: Sequence[AnyTool], workbench: Workbench | Sequence[Workbench] | None
) -> Sequence[Workbench]:
    """The workbenches of an agent.

    Raises:
        ValueError: The assistant also has tools.
    """
    if workbench is None:
        return ()
    if tools:
        raise ValueError("Tools cannot be used with a workbench.")
    benches = (workbench,) if isinstance(workbench, Workbench) else workbench
    for bench in benches:
        checked_instance(bench, Workbench, parameter="workbench", expected="a Workbench or several")
    return benches


def checked_iterations(iterations: int, attempts: int | None) -> int:
    """Maximum number of rounds of tool calls in one turn.

    Args:
        iterations: The argument; by default 1.
        attempts: The same argument under its other name.

    Raises:
        ValueError: Both are given, or it is less than 1.
    """
    if attempts is not None and iterations != 1:
        raise ValueError(
            "max_tool_use_attempts is another name for max_tool_iterations; use one of them."
        )
    chosen = iterations if attempts is None else attempts
    return checked_count(chosen, parameter="max_tool_iterations")


class ImagelessView:
    """Shows messages to a model without vision, with `<image>` in place of each image.

    Of a conversation that grows, it examines each message once.
    """

    def __init__(self) -> None:
        self._known: list[LLMMessage] = []
        self._shown: list[LLMMessage] = []

    def of(self, messages: list[LLMMessage]) -> list[LLMMessage]:
        """The messages as the model can read them, in a new list."""
        count = len(self._known)
        # A list with the same objects is recognized forty times as fast as they are examined.
        is_longer = count and len(messages) >= count and messages[count - 1] is self._known[-1]
        if not (is_longer and messages[:count] == self._known):
            self._known, self._shown, count = [], [], 0
        new = messages[count:]
        self._known += new
        self._shown += map(_without_images, new)
        return self._shown[:]


def _without_images(message: LLMMessage) -> LLMMessage:
    if not isinstance(message, UserMessage) or isinstance(message.content, str):
        return message
    parts = [part if isinstance(part, str) else "<image>" for part in message.content]
    return UserMessage(content="\n".join(parts), source=message.source)
