"""Execution of code that models write."""

from typing import TYPE_CHECKING

from teamrun.forwarding import forwarding

if TYPE_CHECKING:
    from teamrun.code.base import CodeExecutor
    from teamrun.code.local import CommandLineCodeResult, LocalCommandLineCodeExecutor
    from teamrun.code.tool import CodeExecutionTool, ToolExecutor

__all__ = [
    "CodeExecutionTool",
    "CodeExecutor",
    "CommandLineCodeResult",
    "LocalCommandLineCodeExecutor",
    "ToolExecutor",
]

__getattr__, __dir__ = forwarding(
    __name__,
    {
        ".base": ("CodeExecutor",),
        ".local": ("CommandLineCodeResult", "LocalCommandLineCodeExecutor"),
        ".tool": ("CodeExecutionTool", "ToolExecutor"),
    },
)
