"""A task in any of the forms that callers write, as messages."""

from collections.abc import Sequence

from teamrun.core.protocols import Task
from teamrun.messages.chat import BaseChatMessage, TextMessage

__all__ = ["task_messages"]


def task_messages(task: Task | None) -> list[BaseChatMessage]:
    """The messages of a task; none for None. A text is said by `user`.

    Raises:
        ValueError: A list is empty, or something is no chat message.
    """
    if task is None:
        return []
    if isinstance(task, str):
        return [TextMessage(content=task, source="user")]
    messages = [task] if isinstance(task, BaseChatMessage) else list(_checked(task))
    if not messages:
        raise ValueError("Task list cannot be empty.")
    return messages


def _checked(task: Sequence[BaseChatMessage]) -> Sequence[BaseChatMessage]:
    for message in task:
        if not isinstance(message, BaseChatMessage):  # pyright: ignore[reportUnnecessaryIsInstance] - untyped callers
            raise ValueError(
                "All messages in task list must be valid BaseChatMessage types, not "
                f"{type(message).__name__}: give a text, a message, or a list of messages."
            )
    return task
