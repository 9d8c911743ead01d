"""The tools of an agent as a list that changes what its model sees from the next call on."""

from collections.abc import Callable, Iterable, MutableSequence, Sequence
from typing import TYPE_CHECKING, overload

from teamrun.tools.approval import without_terminal
from teamrun.tools.base import Tool

if TYPE_CHECKING:
    from teamrun.agents.toolset import AnyTool

__all__ = ["ToolList"]


class ToolList(MutableSequence["AnyTool"]):
    """A view of an agent's tools; each change is checked as in the agent's constructor.

    Args:
        tools: The present tools.
        replace: Takes the new ones.
    """

    def __init__(
        self, tools: Sequence[Tool], replace: "Callable[[Sequence[AnyTool]], Sequence[Tool]]"
    ) -> None:
        self._tools = list(tools)
        self._replace = replace

    def __len__(self) -> int:
        return len(self._tools)

    def __repr__(self) -> str:
        return f"[{', '.join(tool.name for tool in self._tools)}]"

    def __contains__(self, tool: object) -> bool:
        """Whether there is a tool of that name, or of the name of that tool or function."""
        return any(each.name == _name_of(tool) for each in self._tools)

    @overload
    def __getitem__(self, index: int) -> Tool: ...

    @overload
    def __getitem__(self, index: slice) -> "MutableSequence[AnyTool]": ...

    def __getitem__(self, index: int | slice) -> "Tool | MutableSequence[AnyTool]":
        if isinstance(index, slice):
            return [without_terminal(tool) for tool in self._tools[index]]
        return without_terminal(self._tools[index])

    @overload
    def __setitem__(self, index: int, value: "AnyTool") -> None: ...

    @overload
    def __setitem__(self, index: slice, value: "Iterable[AnyTool]") -> None: ...

    def __setitem__(self, index: int | slice, value: "AnyTool | Iterable[AnyTool]") -> None:
        changed: list[AnyTool] = [*self._tools]
        changed[index] = value  # pyright: ignore[reportArgumentType, reportCallIssue] - as of a list
        self._tools = list(self._replace(changed))

    def __delitem__(self, index: int | slice) -> None:
        changed: list[AnyTool] = [*self._tools]
        del changed[index]
        self._tools = list(self._replace(changed))

    def insert(self, index: int, value: "AnyTool") -> None:
        """Add a tool or a function.

        Raises:
            ValueError: The agent has a tool of that name, or its model cannot call tools.
        """
        changed: list[AnyTool] = [*self._tools]
        changed.insert(index, value)
        self._tools = list(self._replace(changed))

    def remove(self, value: "AnyTool | str") -> None:
        """Remove a tool, given by itself, its function or its name.

        Raises:
            ValueError: The agent does not have it.
        """
        for index, tool in enumerate(self._tools):
            if tool.name == _name_of(value):
                del self[index]
                return
        raise ValueError(f"The agent has no tool {_name_of(value)!r}; it has {self!r}.")

    def tagged(self, tag: str) -> list[Tool]:
        """The tools with a tag."""
        return [
            without_terminal(tool) for tool in self._tools if tag in without_terminal(tool).tags
        ]


def _name_of(tool: object) -> str:
    if isinstance(tool, Tool):
        return tool.name
    return tool if isinstance(tool, str) else getattr(tool, "__name__", repr(tool))
