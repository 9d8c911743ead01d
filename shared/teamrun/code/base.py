"""The seam to executors of code.

Above it: `CodeExecutorAgent` and `CodeExecutionTool`. Below it: `sandbox/`, `local.py`, and classes
of the user's own. An executor is chosen by the program or by the operator, never by a definition
or a component of someone else.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import NamedTuple, Self

from pydantic import BaseModel

from teamrun.core.cancellation import CancellationToken
from teamrun.core.component.base import ComponentBase
from teamrun.messages.code import CodeBlock, CodeResult

__all__ = ["CodeExecutor", "Execution"]


class Execution(NamedTuple):
    """What code has come to."""

    result: CodeResult
    files: Mapping[str, bytes]
    """The files that it has written, by their paths in its work folder."""


class CodeExecutor(ComponentBase[BaseModel], ABC):
    """Executes blocks of code; as a context manager it is started and stopped."""

    asks: bool = False
    """Whether it has its own way to ask a person before code is executed."""
    is_isolated: bool = False
    """Whether code has no effect outside but its output and files, and a work folder of its own
    for each call of `execute`."""
    is_stateful: bool = False
    """Whether executions of one `session` find what earlier ones have left in memory."""

    @abstractmethod
    async def execute_code_blocks(
        self,
        code_blocks: Sequence[CodeBlock],
        cancellation_token: CancellationToken | None = None,
    ) -> CodeResult:
        """Execute blocks one after the other, until one fails.

        Raises:
            asyncio.CancelledError: The token was cancelled; nothing continues to run.
        """

    async def execute(
        self,
        code_blocks: Sequence[CodeBlock],
        files: Mapping[str, bytes] | None = None,
        cancellation_token: CancellationToken | None = None,
        *,
        session: str = "",
    ) -> Execution:
        """Execute blocks, with files to begin with.

        One that is not `is_isolated` ignores `files` and returns none.

        Raises:
            asyncio.CancelledError: The token was cancelled; nothing continues to run.
        """
        return Execution(await self.execute_code_blocks(code_blocks, cancellation_token), {})

    async def start(self) -> None:
        """Prepare it."""

    async def stop(self) -> None:
        """Release its resources."""

    async def restart(self) -> None:
        """Forget what earlier code has left in memory."""

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()
