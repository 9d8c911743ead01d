"""Execution of code that models write."""

from typing import TYPE_CHECKING

from teamrun.forwarding import forwarding

if TYPE_CHECKING:
    from teamrun.code.base import CodeExecutor, Execution
    from teamrun.code.local import CommandLineCodeResult, LocalCommandLineCodeExecutor
    from teamrun.code.sandbox.executor import SandboxCodeExecutor
    from teamrun.code.sandbox.limits import SandboxLimits
    from teamrun.code.tool import CodeExecutionTool, ToolExecutor

__all__ = [
    "CodeExecutionTool",
    "CodeExecutor",
    "CommandLineCodeResult",
    "Execution",
    "LocalCommandLineCodeExecutor",
    "SandboxCodeExecutor",
    "SandboxLimits",
    "ToolExecutor",
]

__getattr__, __dir__ = forwarding(
    __name__,
    {
        ".base": ("CodeExecutor", "Execution"),
        ".local": ("CommandLineCodeResult", "LocalCommandLineCodeExecutor"),
        ".sandbox.executor": ("SandboxCodeExecutor",),
        ".sandbox.limits": ("SandboxLimits",),
        ".tool": ("CodeExecutionTool", "ToolExecutor"),
    },
)
