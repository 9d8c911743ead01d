"""The finder beside an AutoGen that is installed, and the command that runs a script."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


def python(*arguments: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run Python with a package `autogen_core` of another origin in its path."""
    package = folder / "site" / "autogen_core"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("ORIGIN = 'installed'\n", encoding="utf-8")
    path = os.pathsep.join([str(folder / "site"), *filter(None, sys.path)])
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
    )


SCRIPT = """
import sys
import teamrun.compat.autogen
assert not {"teamrun.agents", "teamrun.compat.autogen.extras"} & sys.modules.keys()
try:
    import autogen_agentchat
except ModuleNotFoundError:
    print("no half")
import autogen
import autogen_core
assert autogen_core.ORIGIN == "installed"
try:
    teamrun.compat.autogen.install(replace=True)
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.mark.behaviour("import.installed")
def test_an_installed_autogen_is_used_with_a_warning(tmp_path: Path) -> None:
    done = python("-c", SCRIPT, folder=tmp_path)

    assert done.returncode == 0, done.stderr
    assert done.stderr.count("UserWarning") == 1
    assert "autogen_core is installed in this environment and is used as it is" in done.stderr
    half, refused = done.stdout.splitlines()
    assert half == "no half"
    assert refused.startswith("UsageError autogen_core of the installed AutoGen is already")


@pytest.mark.behaviour("import.installed")
def test_the_command_runs_a_script_in_place_of_an_installed_autogen(tmp_path: Path) -> None:
    script = tmp_path / "code" / "script.py"
    script.parent.mkdir()
    (script.parent / "beside.py").write_text("NAME = 'beside'\n", encoding="utf-8")
    script.write_text(
        "import sys, beside, autogen_core\n"
        "from autogen_core import AgentId\n"
        "print(__name__, sys.argv[1:], beside.NAME, AgentId('a', 'b'), autogen_core.__version__)\n",
        encoding="utf-8",
    )
    command = ("-m", "teamrun.compat.autogen", "--replace", str(script), "--flag", "x")
    done = python(*command, folder=tmp_path)

    assert done.stdout == "__main__ ['--flag', 'x'] beside a/b 0.7.5+teamrun\n", done.stderr
    assert done.stderr == ""


@pytest.mark.parametrize("arguments", [(), ("missing.py",)])
def test_the_command_without_a_script_is_a_wrong_use(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    done = python("-m", "teamrun.compat.autogen", *arguments, folder=tmp_path)

    assert done.returncode == 2
    assert "usage: python -m teamrun.compat.autogen" in done.stderr
    assert ("missing.py" in done.stderr) is bool(arguments)
