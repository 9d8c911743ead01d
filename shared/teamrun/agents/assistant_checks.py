"""What the arguments of an assistant must fulfil, and what a model is able to see."""

from collections.abc import Sequence

from teamrun.agents.toolset import AnyTool
from teamrun.memory.base import Memory
from teamrun.messages.llm import LLMMessage, UserMessage
from teamrun.tools.workbench import Workbench

__all__ = ["checked_iterations", "checked_memory", "checked_workbenches", "without_images"]


def checked_memory(memory: Sequence[Memory] | None) -> list[Memory]:
    """The memories of an agent.

    Raises:
        TypeError: It is not a list.
    """
    if memory is not None and not isinstance(memory, list):
        raise TypeError(f"memory must be a list of Memory or None, not {type(memory).__name__}.")
    return memory or []


def checked_workbenches(
    tools: Sequence[AnyTool], workbench: Workbench | Sequence[Workbench] | None
) -> Sequence[Workbench]:
    """The workbenches of an agent.

    Raises:
        ValueError: It has tools, too.
    """
    if workbench is None:
        return ()
    if tools:
        raise ValueError("Tools cannot be used with a workbench.")
    return (workbench,) if isinstance(workbench, Workbench) else workbench


def checked_iterations(iterations: int, attempts: int | None) -> int:
    """How many times the model may ask for tools in one turn.

    Args:
        iterations: The argument; 1 where it was not given.
        attempts: The same under its other name.

    Raises:
        ValueError: Both are given, or it is less than 1.
    """
    if attempts is not None and iterations != 1:
        raise ValueError(
            "max_tool_use_attempts is another name for max_tool_iterations; give one of them."
        )
    chosen = iterations if attempts is None else attempts
    if chosen < 1:
        raise ValueError(
            f"Maximum number of tool iterations must be greater than or equal to 1, got {chosen}"
        )
    return chosen


def without_images(messages: list[LLMMessage]) -> list[LLMMessage]:
    """The messages as a model without vision gets them: `<image>` where an image stands."""
    return [
        UserMessage(
            content="\n".join(part if isinstance(part, str) else "<image>" for part in content),
            source=message.source,
        )
        if isinstance(message, UserMessage) and isinstance(content := message.content, list)
        else message
        for message in messages
    ]
