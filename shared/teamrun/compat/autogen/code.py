"""AutoGen's tool that executes Python code, for scripts; `CodeExecutionTool` is able to do more."""

from typing import Any

from pydantic import BaseModel, Field

from teamrun.code.base import CodeExecutor
from teamrun.core.cancellation import CancellationToken
from teamrun.messages.code import CodeBlock
from teamrun.tools.base import BaseTool, Effects

__all__ = ["CodeExecutionInput", "CodeExecutionResult", "PythonCodeExecutionTool"]


class CodeExecutionInput(BaseModel):
    """The arguments of the tool."""

    code: str = Field(description="The contents of the Python code block that should be executed")


class CodeExecutionResult(BaseModel):
    """Whether the code ended with exit code 0, and its output; the model sees the output alone."""

    success: bool
    output: str


class PythonCodeExecutionTool(BaseTool[CodeExecutionInput, CodeExecutionResult]):
    """A tool named `CodeExecutor` that executes Python code.

    Args:
        executor: Executes the code.
    """

    effects: Effects = "write"

    def __init__(self, executor: CodeExecutor) -> None:
        super().__init__(
            CodeExecutionInput, CodeExecutionResult, "CodeExecutor", "Execute Python code blocks."
        )
        self.executor = executor

    async def run(
        self, args: CodeExecutionInput, cancellation_token: CancellationToken | None = None
    ) -> CodeExecutionResult:
        """Execute the code."""
        blocks = [CodeBlock(code=args.code, language="python")]
        result = await self.executor.execute_code_blocks(blocks, cancellation_token)
        return CodeExecutionResult(success=result.exit_code == 0, output=result.output)

    def return_value_as_string(self, value: Any) -> str:
        """The output."""
        return value.output if isinstance(value, CodeExecutionResult) else str(value)
