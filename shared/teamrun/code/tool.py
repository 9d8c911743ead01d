"""An executor as a tool, and a tool as an executor.

An operator registers an executor as a tool. So a run records each execution as a call, with the
effects, the approval and the limits of tools, and `CodeExecutorAgent` uses it as an executor.
"""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, Field, TypeAdapter
from pydantic_core import to_json

from teamrun.code.base import CodeExecutor
from teamrun.core.cancellation import CancellationToken
from teamrun.errors import NotApproved, ToolError
from teamrun.json_types import JsonMapping
from teamrun.messages.code import CodeBlock, CodeResult
from teamrun.tools.approval import with_approval
from teamrun.tools.base import BaseTool, Effects, Tool

__all__ = ["CodeExecutionTool", "ToolExecutor"]


class _Code(BaseModel, defer_build=True):
    code_blocks: list[CodeBlock] = Field(
        description="Blocks of code with their languages, executed one after the other."
    )


class CodeExecutionTool(BaseTool[_Code, CodeResult]):
    """An executor of code as a tool; its calls have outside effects (`effects` is `write`).

    Args:
        executor: Executes the code.
        name: The name under which agents use it.
        description: The description for models.
        needs_approval: Whether a person has to agree to each execution.
    """

    effects: Effects = "write"

    def __init__(
        self,
        executor: CodeExecutor,
        *,
        name: str = "run_code",
        description: str = "Execute code and return its output.",
        needs_approval: bool = False,
    ) -> None:
        super().__init__(_Code, CodeResult, name, description)
        self.executor = executor
        self.needs_approval = needs_approval

    async def run(
        self, args: _Code, cancellation_token: CancellationToken | None = None
    ) -> CodeResult:
        """Execute the code."""
        return await self.executor.execute_code_blocks(args.code_blocks, cancellation_token)

    def return_value_as_string(self, value: Any) -> str:
        """The exit code and the output as JSON."""
        if isinstance(value, CodeResult):
            return to_json({"exit_code": value.exit_code, "output": value.output}).decode()
        return str(value)


class ToolExecutor(CodeExecutor):
    """Executes code with a tool that is a `CodeExecutionTool`, or that wraps one.

    Args:
        tool: The tool; if it needs approval, the terminal is asked, or the run.
    """

    asks = True

    def __init__(self, tool: Tool) -> None:
        self._tool = with_approval(tool)

    async def execute_code_blocks(
        self,
        code_blocks: Sequence[CodeBlock],
        cancellation_token: CancellationToken | None = None,
    ) -> CodeResult:
        """Call the tool; its failure is a result with exit code 1."""
        blocks = [{"code": block.code, "language": block.language} for block in code_blocks]
        arguments: JsonMapping = {"code_blocks": blocks}
        try:
            value = await self._tool.run_json(arguments, cancellation_token)
            text = self._tool.return_value_as_string(value)
        except NotApproved as error:
            reason = error.message.removeprefix("The call was not approved.").strip()
            return CodeResult(1, f"Code execution was not approved. Reason: {reason}")
        except ToolError as error:
            return CodeResult(1, error.message)
        return _RESULT.validate_json(text)


_RESULT: TypeAdapter[CodeResult] = TypeAdapter(CodeResult)
