"""`scripts/dev.py` as a newcomer types it, in a checkout whose packages are installed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.service import ROOT, processes, until

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(300)]


def environ(data_dir: Path) -> dict[str, str]:
    """No package index can be reached, so the installed packages must suffice."""
    return {
        **os.environ,
        "TEAMRUN_VENV": sys.prefix,
        "TEAMRUN_DATA_DIR": str(data_dir),
        "TEAMRUN_TEST_MARK": str(data_dir),
        "PIP_NO_INDEX": "1",
        "UV_OFFLINE": "1",
    }


def dev(*arguments: str, data_dir: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "scripts/dev.py", *arguments],
        cwd=ROOT,
        env=environ(data_dir),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def nothing_is_left_of(data_dir: Path) -> None:
    until(lambda: not processes(str(data_dir), data_dir), "all is gone")


@pytest.fixture(autouse=True)
def installed() -> None:
    if not Path(sys.prefix, "teamrun-dev.json").exists():
        pytest.skip("this environment was not made by scripts/dev.py")


def test_run_once_shows_the_run_its_result_and_its_files_and_ends_offline(tmp_path: Path) -> None:
    with dev("run", "--once", data_dir=tmp_path) as process:
        out, err = process.communicate(timeout=240)

    assert process.returncode == 0, err
    assert "WORDS ARE SCRIPTED" in err
    assert "analyst → aggregate(" in out
    assert "Result: completed" in out
    files = [
        line.split(" (")[0].strip() for line in out.partition("Files written:")[2].splitlines()
    ]
    written = {Path(file).name for file in files if file}
    assert {"result.json", "events.jsonl"} < written
    assert any(name.endswith(".svg") for name in written)
    assert all(Path(file).is_file() for file in files if file)
    nothing_is_left_of(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["ctrl-c", "kill-9"])
def test_run_continues_serving_until_it_is_ended_and_leaves_nothing(
    tmp_path: Path, number: signal.Signals
) -> None:
    with dev("run", data_dir=tmp_path) as process:
        assert process.stdout is not None
        told = ""
        while "until Ctrl-C" not in told:
            line = process.stdout.readline()
            assert line, "it ended by itself"
            told += line
        assert "curl -s http://127.0.0.1:" in told

        process.send_signal(number)

        process.communicate(timeout=120)
        assert process.returncode == (0 if number == signal.SIGINT else -signal.SIGKILL)
        nothing_is_left_of(tmp_path)
