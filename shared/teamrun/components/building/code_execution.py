"""Registered tools that execute code."""

from typing import Any

from teamrun.code.tool import CodeExecutionTool
from teamrun.components.building.operator_code import OperatorCode
from teamrun.components.definitions.agents import InlineToolDefinition
from teamrun.components.definitions.code_execution import CodeExecutionEntry
from teamrun.errors import DefinitionError, SandboxUnavailable
from teamrun.tools.base import Tool

__all__ = ["build_code_execution", "build_inline"]


def build_code_execution(entry: CodeExecutionEntry, code: OperatorCode) -> CodeExecutionTool:
    """A tool that executes code; its sandbox is tried once.

    Raises:
        DefinitionError: This machine has no sandbox.
    """
    options: dict[str, Any] = {"name": entry.name, "needs_approval": entry.approval}
    if entry.description is not None:
        options["description"] = entry.description
    tool = CodeExecutionTool(_executor(entry, code), language=entry.language, **options)
    if entry.on_lost is not None:
        tool.on_lost = entry.on_lost
    if entry.on_unknown is not None:
        tool.on_unknown = entry.on_unknown
    return tool


def build_inline(definition: InlineToolDefinition, runner: Tool) -> Tool:
    """A function that a definition brings along.

    Args:
        definition: The function.
        runner: The tool that the operator registered for such functions.

    Raises:
        DefinitionError: That tool has no sandbox.
    """
    if not isinstance(runner, CodeExecutionTool) or not runner.executor.is_isolated:
        raise DefinitionError(
            f"The registered tool {runner.name!r} has no sandbox, so it cannot execute the source"
            f" of {definition.name!r}; register a code_execution tool with 'executor: sandbox'.",
            code="source_not_allowed",
        )
    # Imported late: few definitions have source.
    from teamrun.code.inline import InlineTool

    tool = InlineTool(
        definition.source,
        name=definition.name,
        description=definition.description,
        executor=runner.executor,
    )
    tool.needs_approval = runner.needs_approval
    return tool


def _executor(entry: CodeExecutionEntry, code: OperatorCode) -> Any:
    if entry.executor == "local":
        # Imported late, as is the sandbox: a process has one of the two.
        from teamrun.code.local import LocalCommandLineCodeExecutor

        folder = entry.work_dir if entry.work_dir is None else code.path(entry.work_dir)
        return LocalCommandLineCodeExecutor(entry.timeout or 60, folder)
    from teamrun.code.sandbox.executor import SandboxCodeExecutor
    from teamrun.code.sandbox.machine import check_machine

    try:
        check_machine(entry.limits, python=entry.python)
    except SandboxUnavailable as error:
        raise DefinitionError(
            f"The tool {entry.name!r}: {error.message}", pointer=entry.where, code=error.code
        ) from error
    stateful = entry.session == "stateful"
    return SandboxCodeExecutor(entry.limits, python=entry.python, stateful=stateful)
