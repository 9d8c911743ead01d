"""Code in processes of this machine, without a sandbox."""

import asyncio
import contextlib
import os
import re
import shutil
import signal
import sys
import tempfile
import warnings
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar, Final

from teamrun.code.base import CodeExecutor
from teamrun.core.cancel_scope import cancelled_by
from teamrun.core.cancellation import CancellationToken
from teamrun.messages.code import CodeBlock, CodeResult

__all__ = ["CommandLineCodeResult", "LocalCommandLineCodeExecutor"]

_MAX_OUTPUT: Final = 1_000_000
"""Bytes of each stream that are kept."""
_TIMED_OUT: Final = 124
"""The exit code of `timeout` of the GNU core utilities."""
_ENVIRONMENT: Final = (
    *("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "USER"),
    *("SYSTEMROOT", "TEMP", "TMP", "USERPROFILE"),
)
"""Variables that code may see; others may hold keys."""
_PYTHON: Final = frozenset({"python", "py"})
_SHELLS: Final = {"bash": "bash", "sh": "sh", "shell": "sh"}
_POWERSHELLS: Final = frozenset({"pwsh", "powershell", "ps1"})


@dataclass(slots=True)
class CommandLineCodeResult(CodeResult):
    """The output of executed code, and the file of the first block."""

    code_file: str | None = None


class LocalCommandLineCodeExecutor(CodeExecutor):
    """Executes each block in a process of its own, as the user that this process runs as.

    There is no sandbox: the code can read and change whatever that user can. It sees the variables
    of the environment that programs need, and no others. A first line `# filename: NAME` gives a
    block the name of its file.

    Args:
        timeout: Maximum seconds of each block; one that takes longer is ended, with exit code 124.
        work_dir: The folder in which code runs; by default a temporary one, removed by `stop`.
        cleanup_temp_files: Remove the files of the blocks afterwards.
        virtual_env_context: What `venv.EnvBuilder().ensure_directories` returns: the environment
            whose Python executes the blocks.

    Raises:
        ValueError: `timeout` is less than 1.
    """

    SUPPORTED_LANGUAGES: ClassVar[Sequence[str]] = [
        *("bash", "shell", "sh", "pwsh", "powershell", "ps1", "python")
    ]

    def __init__(
        self,
        timeout: int = 60,
        work_dir: Path | str | None = None,
        *,
        cleanup_temp_files: bool = True,
        virtual_env_context: Any = None,
    ) -> None:
        if timeout < 1:
            raise ValueError("Timeout must be greater than or equal to 1.")
        self._timeout = timeout
        self._work_dir = None if work_dir is None else Path(work_dir)
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._cleanup_temp_files = cleanup_temp_files
        self._virtual_env_context = virtual_env_context

    @property
    def timeout(self) -> int:
        """Maximum seconds of each block."""
        return self._timeout

    @property
    def cleanup_temp_files(self) -> bool:
        """Whether the files of the blocks are removed."""
        return self._cleanup_temp_files

    @property
    def work_dir(self) -> Path:
        """The folder in which code runs; it is created when it is first used."""
        if self._work_dir is not None:
            self._work_dir.mkdir(parents=True, exist_ok=True)
            return self._work_dir
        if self._temporary is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="teamrun-code-")
        return Path(self._temporary.name)

    async def execute_code_blocks(
        self,
        code_blocks: Sequence[CodeBlock],
        cancellation_token: CancellationToken | None = None,
    ) -> CommandLineCodeResult:
        """Execute blocks one after the other, until one fails.

        Raises:
            asyncio.CancelledError: The token was cancelled; the process has been ended.
        """
        files: list[Path] = []
        outputs: list[str] = []
        exit_code = 0
        try:
            for block in code_blocks:
                exit_code, output = await self._execute(block, files, cancellation_token)
                outputs.append(output)
                if exit_code:
                    break
        finally:
            for file in files if self._cleanup_temp_files else ():
                with contextlib.suppress(OSError):
                    file.unlink(missing_ok=True)
        first = str(files[0]) if files else None
        return CommandLineCodeResult(exit_code, "".join(outputs), first)

    async def stop(self) -> None:
        """Remove the temporary folder."""
        if self._temporary is not None:
            self._temporary.cleanup()
            self._temporary = None

    async def restart(self) -> None:
        """Nothing: each block has a process of its own."""
        warnings.warn(
            "Restarting local command line code executor is not supported. No action is taken.",
            stacklevel=2,
        )

    async def _execute(
        self, block: CodeBlock, files: list[Path], token: CancellationToken | None
    ) -> tuple[int, str]:
        language = block.language.lower()
        program = self._program(language)
        if program is None:
            return 1, f"\nunknown language {language}"
        folder = self.work_dir.resolve()
        code = _with_quiet_pip(block.code, language)
        name = _named(code) or f"tmp_code_{sha256(code.encode()).hexdigest()}.{_ending(language)}"
        file = (folder / name).resolve()
        if not file.is_relative_to(folder) or file == folder:
            return 1, "Filename is not in the workspace"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(code, encoding="utf-8")
        files.append(file)
        return await self._run([*program, str(file)], folder, token)

    async def _run(
        self, command: Sequence[str], folder: Path, token: CancellationToken | None
    ) -> tuple[int, str]:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=folder,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=PIPE,
            stderr=PIPE,
            env=self._environment(),
            start_new_session=True,
        )
        try:
            with cancelled_by(token, "The execution of code"):
                try:
                    async with asyncio.timeout(self._timeout):
                        errors, output = await asyncio.gather(
                            _kept(process.stderr), _kept(process.stdout)
                        )
                        exit_code = await process.wait()
                except TimeoutError:
                    return _TIMED_OUT, "\nTimeout"
        finally:
            await _end(process)
        return exit_code, errors + output

    def _program(self, language: str) -> list[str] | None:
        context = self._virtual_env_context
        if language in _PYTHON:
            return [sys.executable if context is None else str(Path(context.env_exe).absolute())]
        if language in _POWERSHELLS:
            shell = shutil.which("pwsh") or shutil.which("powershell")
            return [shell, "-NoProfile", "-ExecutionPolicy", "Bypass", "-File"] if shell else None
        return [_SHELLS[language]] if language in _SHELLS else None

    def _environment(self) -> Mapping[str, str]:
        known = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        if self._virtual_env_context is not None:
            folder = Path(self._virtual_env_context.bin_path).absolute()
            known["PATH"] = f"{folder}{os.pathsep}{known.get('PATH', '')}"
        return known


async def _kept(stream: asyncio.StreamReader | None) -> str:
    """The text of a stream, of which at most the first megabyte is kept."""
    assert stream is not None  # all are pipes
    kept, size = bytearray(), 0
    while chunk := await stream.read(65536):
        size += len(chunk)
        kept += chunk[: _MAX_OUTPUT - len(kept)]
    text = kept.decode("utf-8", "replace")
    return text if size <= _MAX_OUTPUT else f"{text}\n[{size - _MAX_OUTPUT} bytes left out]"


async def _end(process: Process) -> None:
    """End the process and those that it has started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        elif process.returncode is None:
            process.kill()
    await process.wait()


def _named(code: str) -> str | None:
    first = code.partition("\n")[0]
    return first.removeprefix("# filename:").strip() if first.startswith("# filename:") else None


def _ending(language: str) -> str:
    if language in _PYTHON:
        return "py"
    return "ps1" if language in _POWERSHELLS else language


def _with_quiet_pip(code: str, language: str) -> str:
    pattern = r"^! ?pip install" if language in _PYTHON else r"^pip install"
    lines = (
        line if "-qqq" in line else re.sub(pattern, r"\g<0> -qqq", line)
        for line in code.split("\n")
    )
    return "\n".join(lines)
