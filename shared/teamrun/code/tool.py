"""An executor as a tool, and a tool as an executor.

An operator registers an executor as a tool. So a run records each execution as a call, with the
effects, the approval and the limits of tools, and `CodeExecutorAgent` uses it as an executor.
"""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, Field, TypeAdapter
from pydantic_core import to_json

from teamrun.code.base import CodeExecutor
from teamrun.code.files import WorkFiles
from teamrun.core import event_log
from teamrun.core.cancellation import CancellationToken
from teamrun.errors import NotApproved, ToolError
from teamrun.json_types import JsonMapping
from teamrun.messages.code import CodeBlock, CodeResult
from teamrun.tools.approval import with_approval
from teamrun.tools.arguments import checked_arguments
from teamrun.tools.base import BaseTool, Effects, Session, Tool
from teamrun.tools.context import ToolContext

__all__ = ["CodeExecutionTool", "ToolExecutor"]


class _Code(BaseModel, defer_build=True):
    code_blocks: list[CodeBlock] = Field(
        description="Blocks of code with their languages, executed one after the other."
    )


class _Source(BaseModel, defer_build=True):
    code: str = Field(description="The code to execute.")


class CodeExecutionTool(BaseTool[BaseModel, CodeResult]):
    """An executor of code as a tool.

    Its calls have outside effects (`effects` is `write`), unless the executor is isolated. Of an
    isolated executor, code finds the artifacts of the run in its work folder, and the files that
    it writes there become artifacts.

    Args:
        executor: Executes the code.
        name: The name under which agents use it.
        description: The description for models.
        needs_approval: Whether a person has to agree to each execution.
        language: The language of all code; the model then writes one text in place of blocks.
    """

    def __init__(
        self,
        executor: CodeExecutor,
        *,
        name: str = "run_code",
        description: str = "Execute code and return its output.",
        needs_approval: bool = False,
        language: str | None = None,
    ) -> None:
        super().__init__(_Code if language is None else _Source, CodeResult, name, description)
        self.executor = executor
        self.needs_approval = needs_approval
        self.effects: Effects = "none" if executor.is_isolated else "write"
        self.session: Session = "stateful" if executor.is_stateful else "stateless"
        self._language = language

    async def run_json(
        self,
        args: JsonMapping,
        cancellation_token: CancellationToken | None = None,
        *,
        call_id: str | None = None,
        context: ToolContext | None = None,
    ) -> CodeResult:
        """Check the arguments and execute the code.

        Raises:
            ToolError: The arguments do not fit.
        """
        blocks = self._blocks(args)
        context = context or ToolContext()
        files = WorkFiles(context)
        given = await files.load() if self.executor.is_isolated else None
        options = (
            {"session": f"{context.run_id}/{context.agent}"} if self.executor.is_stateful else {}
        )
        done = await self.executor.execute(blocks, given, cancellation_token, **options)
        files.keep(done.files)
        if event_log.is_wanted():
            event_log.log_tool_call(self.name, args, self.return_value_as_string(done.result))
        return done.result

    async def run(
        self, args: BaseModel, cancellation_token: CancellationToken | None = None
    ) -> CodeResult:
        """Execute the code."""
        return await self.run_json(args.model_dump(), cancellation_token)

    def _blocks(self, args: JsonMapping) -> Sequence[CodeBlock]:
        # An agent that executes code gives blocks to every tool.
        if self._language is None or "code_blocks" in args:
            return checked_arguments(_Code, args, tool=self.name).code_blocks
        code = checked_arguments(_Source, args, tool=self.name).code
        return [CodeBlock(code, self._language)]

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
