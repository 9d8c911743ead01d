"""Code in a sandbox of bubblewrap."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Final

from teamrun.code.base import CodeExecutor, Execution
from teamrun.code.sandbox.limits import SandboxLimits
from teamrun.code.sandbox.process import BlockResult, Reply, SandboxProcess
from teamrun.core.cancel_scope import cancelled_by
from teamrun.core.cancellation import CancellationToken
from teamrun.messages.code import CodeBlock, CodeResult

if TYPE_CHECKING:
    from teamrun.code.sandbox.sessions import Sessions

__all__ = ["SandboxCodeExecutor"]

_IDLE_SECONDS: Final = 600.0


class SandboxCodeExecutor(CodeExecutor):
    """Executes the blocks of each call in a new sandbox, which ends with the call.

    In the sandbox there are no network, no variables of the environment, no files of this machine
    but its programs and libraries, no other processes, and no root. The files that code writes
    are kept in memory, and the next call finds them in the work folder; `stop` and `restart`
    forget them. A first line `# filename: NAME` gives a block the name of its file.

    Args:
        limits: What the code may use.
        python: The path of the Python that executes code; by default the system's. Its packages
            are available to code.
        stateful: Keep the sandbox between calls, and the variables of Python code as in a notebook.
            A session that was not used for ten minutes ends.
    """

    SUPPORTED_LANGUAGES: ClassVar[Sequence[str]] = ["python", "sh", "bash", "shell"]
    is_isolated = True

    def __init__(
        self,
        limits: SandboxLimits | None = None,
        *,
        python: str | None = None,
        stateful: bool = False,
    ) -> None:
        self.limits = limits or SandboxLimits()
        self.python = python
        self.is_stateful = stateful
        self._sessions: Sessions | None = None
        self.files: dict[str, bytes] = {}
        """The files that earlier calls have left, by their paths in the work folder."""

    async def start(self) -> None:
        """Check that this machine has a sandbox.

        Raises:
            SandboxUnavailable: It has none; the message names what is missing.
        """
        await self.execute([])

    async def execute_code_blocks(
        self,
        code_blocks: Sequence[CodeBlock],
        cancellation_token: CancellationToken | None = None,
    ) -> CodeResult:
        """Execute blocks one after the other, until one fails.

        Raises:
            SandboxUnavailable: This machine has no sandbox.
            asyncio.CancelledError: The token was cancelled; all processes have been ended.
        """
        done = await self.execute(code_blocks, self.files, cancellation_token)
        self.files |= done.files
        return done.result

    async def execute(
        self,
        code_blocks: Sequence[CodeBlock],
        files: Mapping[str, bytes] | None = None,
        cancellation_token: CancellationToken | None = None,
        *,
        session: str = "",
    ) -> Execution:
        """Execute blocks with these files in the work folder; returns those that were written.

        Raises:
            SandboxUnavailable: This machine has no sandbox.
            SessionLost: The session has ended since its last execution.
        """
        with cancelled_by(cancellation_token, "The execution of code"):
            if self.is_stateful:
                reply = await self._all_sessions().execute(session, code_blocks, files or {})
                return _execution(reply)
            sandbox = await SandboxProcess.start(self.limits, python=self.python)
            try:
                reply = await sandbox.execute(code_blocks, files)
            finally:
                await sandbox.close()
        return _execution(reply)

    async def stop(self) -> None:
        """End the sessions, and forget the files."""
        self.files.clear()
        if self._sessions is not None:
            await self._sessions.close()

    async def restart(self) -> None:
        """End the sessions, and forget the files."""
        await self.stop()

    def _all_sessions(self) -> "Sessions":
        # Imported late: few executors have sessions.
        from teamrun.code.sandbox.sessions import Sessions

        if self._sessions is None:
            self._sessions = Sessions(self.limits, python=self.python, idle=_IDLE_SECONDS)
        return self._sessions


def _execution(reply: Reply) -> Execution:
    output = "".join(map(_text, reply.results))
    if reply.left_out:
        output += f"\n[{reply.left_out} files were not kept: too many or too large]"
    exit_code = reply.results[-1].exit_code if reply.results else 0
    return Execution(CodeResult(exit_code, output), reply.files)


def _text(result: BlockResult) -> str:
    if not result.left_out:
        return result.output
    return f"{result.output}\n[{result.left_out} bytes left out]"
