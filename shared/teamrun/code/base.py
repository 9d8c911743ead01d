"""The seam to executors of code.

Above it: `CodeExecutorAgent` and `CodeExecutionTool`. Below it: `local.py`, and classes of the
user's own. An executor is chosen by the program or by the operator, never by a definition or a
component of someone else.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from pydantic import BaseModel

from teamrun.core.cancellation import CancellationToken
from teamrun.core.component.base import ComponentBase
from teamrun.messages.code import CodeBlock, CodeResult

__all__ = ["CodeExecutor"]


class CodeExecutor(ComponentBase[BaseModel], ABC):
    """Executes blocks of code; as a context manager it is started and stopped."""

    asks: bool = False
    """Whether it has its own way to ask a person before code is executed."""

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
