"""Code in processes of this machine."""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from types import SimpleNamespace

import pytest

from teamrun.code import CodeExecutor, LocalCommandLineCodeExecutor
from teamrun.code.local import CommandLineCodeResult
from teamrun.core import CancellationToken, ComponentLoader
from teamrun.errors import DefinitionError, UsageError
from teamrun.messages import CodeBlock


@pytest.fixture
async def executor(tmp_path: Path) -> AsyncGenerator[LocalCommandLineCodeExecutor, None]:
    async with LocalCommandLineCodeExecutor(work_dir=tmp_path) as made:
        yield made


async def run(executor: CodeExecutor, *blocks: tuple[str, str]) -> CommandLineCodeResult:
    result = await executor.execute_code_blocks([CodeBlock(code, lang) for lang, code in blocks])
    assert isinstance(result, CommandLineCodeResult)
    return result


def files_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


@pytest.mark.behaviour("executor.blocks")
async def test_blocks_run_one_after_the_other_and_leave_no_files(
    executor: LocalCommandLineCodeExecutor, tmp_path: Path
) -> None:
    result = await run(executor, ("Python", "print('one')"), ("sh", "echo two >&2; echo three"))

    assert (result.exit_code, result.output) == (0, "one\ntwo\nthree\n")
    assert result.code_file is not None
    assert files_in(tmp_path) == []


@pytest.mark.behaviour("executor.blocks")
async def test_a_block_that_fails_is_the_last_one(executor: LocalCommandLineCodeExecutor) -> None:
    result = await run(executor, ("sh", "echo a; exit 3"), ("sh", "echo b"))

    assert (result.exit_code, result.output) == (3, "a\n")


async def test_an_unknown_language_is_a_failure(executor: LocalCommandLineCodeExecutor) -> None:
    result = await run(executor, ("cobol", "x"))

    assert (result.exit_code, result.output) == (1, "\nunknown language cobol")


async def test_code_may_name_its_file_within_the_folder(
    executor: LocalCommandLineCodeExecutor, tmp_path: Path
) -> None:
    kept = LocalCommandLineCodeExecutor(work_dir=tmp_path, cleanup_temp_files=False)

    await run(kept, ("python", "# filename: sub/a.py\nprint(1)"))
    outside = await run(executor, ("python", "# filename: ../b.py\nprint(1)"))

    assert (tmp_path / "sub/a.py").exists()
    assert (outside.exit_code, outside.output) == (1, "Filename is not in the workspace")


@pytest.mark.behaviour("executor.local.keys")
async def test_code_does_not_see_keys(
    executor: LocalCommandLineCodeExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-operator")

    result = await run(executor, ("python", "import os; print(sorted(os.environ))"))

    assert "PATH" in result.output
    assert "OPENAI_API_KEY" not in result.output


@pytest.mark.behaviour("executor.local")
async def test_code_that_takes_too_long_is_ended_with_its_children(tmp_path: Path) -> None:
    executor = LocalCommandLineCodeExecutor(timeout=1, work_dir=tmp_path)
    code = "sleep 600 & echo $! > child; sleep 600"

    result = await run(executor, ("sh", code))

    assert (result.exit_code, result.output) == (124, "\nTimeout")
    child = int((tmp_path / "child").read_text(encoding="utf-8"))
    assert not _is_alive(child)


def _is_alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


@pytest.mark.behaviour("executor.local.keys")
async def test_a_cancelled_execution_ends_its_process(
    executor: LocalCommandLineCodeExecutor, tmp_path: Path
) -> None:
    token = CancellationToken()
    os.mkfifo(tmp_path / "begun")
    code = "echo $$ > pid; echo > begun; sleep 600"
    task = asyncio.create_task(executor.execute_code_blocks([CodeBlock(code, "sh")], token))
    await asyncio.to_thread((tmp_path / "begun").read_text, "utf-8")

    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    pid = int((tmp_path / "pid").read_text(encoding="utf-8"))
    assert not _is_alive(pid)


async def test_of_endless_output_the_beginning_is_kept(
    executor: LocalCommandLineCodeExecutor,
) -> None:
    result = await run(executor, ("python", "print('x' * 1_500_000)"))

    assert len(result.output) < 1_000_100
    assert result.output.endswith("[500001 bytes left out]")


@pytest.mark.behaviour("executor.local")
async def test_the_python_of_an_environment_executes_blocks(tmp_path: Path) -> None:
    own = SimpleNamespace(env_exe=sys.executable, bin_path=str(tmp_path / "bin"))
    executor = LocalCommandLineCodeExecutor(work_dir=tmp_path, virtual_env_context=own)

    result = await run(executor, ("python", "import os; print(os.environ['PATH'])"))

    assert result.output.startswith(str(tmp_path / "bin"))
    with pytest.raises(UsageError, match="virtual_env_context"):
        executor.dump_component()


@pytest.mark.behaviour("executor.local", "executor.blocks")
async def test_the_temporary_folder_is_removed_at_the_end() -> None:
    executor = LocalCommandLineCodeExecutor()
    async with executor:
        folder = executor.work_dir
        assert folder.exists()

    assert not folder.exists()
    with pytest.warns(UserWarning, match="not supported"):
        await executor.restart()


def test_a_timeout_is_at_least_a_second() -> None:
    with pytest.raises(ValueError, match="greater than or equal to 1"):
        LocalCommandLineCodeExecutor(timeout=0)


def test_a_component_executes_code_only_if_the_program_allows_it(tmp_path: Path) -> None:
    written = LocalCommandLineCodeExecutor(work_dir=tmp_path).dump_component()

    with pytest.raises(DefinitionError, match="executes any code on this machine") as caught:
        ComponentLoader.load_component(written, CodeExecutor)
    again = ComponentLoader.load_component(
        written, CodeExecutor, classes=[LocalCommandLineCodeExecutor]
    )

    assert caught.value.code == "source_not_allowed"
    assert isinstance(again, LocalCommandLineCodeExecutor)
    assert again.work_dir == tmp_path
    assert LocalCommandLineCodeExecutor.load_component(written).timeout == 60
