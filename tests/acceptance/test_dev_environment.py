"""`.venv` of a checkout: complete or absent, whatever interrupts the call that makes it."""

import base64
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from tests.support.service import ROOT, until

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(120)]

ENSURE = "from dev_environment import Environment; Environment().ensure()"
LOCKS = ("requirements.lock", "requirements-embedded.lock")


def make_wheel(folder: Path) -> str:
    """Write a package with one command, and return its line of a lock file."""
    folder.mkdir()
    path = folder / "demo_tool-1.0-py3-none-any.whl"
    info = "demo_tool-1.0.dist-info"
    files = {
        "demo_tool.py": "def main():\n    print('it runs')\n",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: demo-tool\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": "[console_scripts]\ndemo = demo_tool:main\n",
    }
    rows: list[str] = []
    with zipfile.ZipFile(path, "w") as wheel:
        for name, text in files.items():
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest())
            rows.append(f"{name},sha256={digest.decode().rstrip('=')},{len(text)}\n")
            wheel.writestr(name, text)
        record = f"{info}/RECORD"
        wheel.writestr(record, "".join(rows) + f"{record},,\n")
    return f"demo-tool==1.0 --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose lock files name one small package, installed from a folder."""
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    line = make_wheel(tmp_path / "wheels")
    for lock in LOCKS:
        (tmp_path / lock).write_text(line, encoding="utf-8")
    return tmp_path


def begin(checkout: Path) -> "subprocess.Popen[str]":
    python = Path(sys.base_prefix, "bin", "python3")
    environ = {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": str(checkout / "scripts"),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(checkout / "wheels"),
    }
    return subprocess.Popen(
        [python, "-c", ENSURE],
        cwd=checkout,
        env=environ,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def ensure(checkout: Path) -> str:
    """Create the environment; returns the output."""
    with begin(checkout) as process:
        _, err = process.communicate(timeout=100)
    assert process.returncode == 0, err
    return err


def works(checkout: Path) -> bool:
    command = [checkout / ".venv/bin/demo"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout == "it runs\n"


def test_a_first_call_shows_each_package_and_its_commands_run(checkout: Path) -> None:
    shown = ensure(checkout)

    assert "  1 of 1: demo" in shown
    assert works(checkout)
    assert ensure(checkout) == ""
    assert sorted(path.name for path in checkout.glob(".venv*")) == [".venv", ".venv.installing"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["ctrl-c", "kill-9"])
def test_an_interrupted_first_call_does_not_block_the_next(
    checkout: Path, number: signal.Signals
) -> None:
    with begin(checkout) as process:
        until(lambda: (checkout / ".venv.new/bin/python").exists(), "it is being made")
        os.killpg(process.pid, number)
        _, shown = process.communicate(timeout=100)
    assert not (checkout / ".venv").exists()
    assert "ensurepip" not in shown  # no traceback of the process that made it

    ensure(checkout)

    assert works(checkout)


def test_two_first_calls_at_once_make_one_environment(checkout: Path) -> None:
    with begin(checkout) as one, begin(checkout) as other:
        shown = one.communicate(timeout=100)[1] + other.communicate(timeout=100)[1]

    assert (one.returncode, other.returncode) == (0, 0), shown
    assert shown.count("Making .venv") == 1
    assert shown.count("Waiting for another dev.py") == 1
    assert works(checkout)


def test_a_half_made_environment_is_replaced(checkout: Path) -> None:
    half = checkout / ".venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", half], check=True)

    ensure(checkout)

    assert works(checkout)


def test_packages_of_a_changed_lock_are_added_to_the_environment_in_place(checkout: Path) -> None:
    ensure(checkout)
    mark = checkout / ".venv" / "mark"
    mark.touch()
    with (checkout / LOCKS[0]).open("a", encoding="utf-8") as lock:
        lock.write("# renewed\n")

    shown = ensure(checkout)

    assert "Making" not in shown
    assert mark.exists()


def test_a_package_that_cannot_be_installed_is_named_and_leaves_no_environment(
    checkout: Path,
) -> None:
    (checkout / LOCKS[0]).write_text("absent==1.0 --hash=sha256:" + "0" * 64, encoding="utf-8")

    with begin(checkout) as process:
        _, err = process.communicate(timeout=100)

    assert process.returncode == 1
    assert "absent==1.0" in err
    assert "Failed: The packages of requirements.lock could not be installed" in err
    assert [path.name for path in checkout.glob(".venv*")] == [".venv.installing"]
