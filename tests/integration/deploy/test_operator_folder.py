"""The operator's folder in packages of functions, and the folder that is published to Azure."""

from pathlib import Path

import pytest
from azure_package import build_folder
from dev_environment import AZURE, Failed
from operator_folder import LOCK, OperatorFolder, Pin, pins_of
from package_functions import main
from tests.support.service import ROOT

HASH = "sha256:" + "0" * 64
OURS = Pin("pydantic", "2.13.0", "", (HASH,))


@pytest.fixture
def team(tmp_path: Path) -> Path:
    folder = tmp_path / "team"
    folder.mkdir()
    (folder / "teamrun.yaml").write_text("version: 1\n", encoding="utf-8")
    return folder


def write(folder: Path, path: str, text: str = "") -> None:
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_text(text, encoding="utf-8")


def locked(*pins: str) -> str:
    return "".join(f"{pin} \\\n    --hash={HASH}\n" for pin in pins)


def test_a_lock_is_read_and_written() -> None:
    lock = ROOT / AZURE

    assert "".join(pin.line() for pin in pins_of(lock)) == lock.read_text(encoding="utf-8")


@pytest.mark.parametrize("line", ["requests>=2", "requests==2.0", "-r other.txt", "./wheel.whl"])
def test_a_line_of_a_lock_without_version_and_hashes_is_refused(team: Path, line: str) -> None:
    write(team, LOCK, f"# by uv\n{locked('a==1')}{line}\n")

    with pytest.raises(Failed, match="no exact version with hashes"):
        OperatorFolder(team).added_to([])


def test_the_operators_packages_are_added_and_have_our_versions(team: Path) -> None:
    write(team, LOCK, locked("Pydantic==2.13.0", "x==1 ; sys_platform == 'linux'", "x==2"))
    assert [(pin.version, pin.marker) for pin in OperatorFolder(team).added_to([OURS])] == [
        ("1", "sys_platform == 'linux'"),
        ("2", ""),
    ]
    write(team, LOCK, locked("pydantic==2.12.0"))
    with pytest.raises(Failed, match=r"pydantic 2\.12\.0.*2\.13\.0"):
        OperatorFolder(team).added_to([OURS])


@pytest.mark.parametrize(
    "path",
    [
        "teamrun/mine.py",
        "teamrun.py",
        "host.json",
        "openai.py",
        "azure/__init__.py",
        "email/__init__.py",
        "random.py",
        "requirements.txt",
    ],
)
def test_a_name_that_hides_something_is_refused(team: Path, path: str, tmp_path: Path) -> None:
    write(team, path)

    with pytest.raises(Failed, match=path.partition("/")[0]):
        build_folder(team=team, output=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_folder_for_azure_has_the_app_the_project_and_the_team(
    team: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(team, "tools.py")
    write(team, "email/welcome.txt")
    write(team, LOCK, locked("zzz-tool==1.5 ; python_version < '3.14'"))
    out = tmp_path / "out"
    call = ["--platform", "azure", "--team", str(team), "--output", str(out)]

    assert main(call) == 0

    names = {path.name for path in out.iterdir()}
    assert names >= {"function_app.py", "host.json", "teamrun", "teamrun_api", "teamrun_infra"}
    assert names >= {"teamrun.yaml", "tools.py", "email"} and LOCK not in names
    ours = pins_of(ROOT / AZURE)
    both = pins_of(out / "requirements.txt")
    assert both[:-1] == ours and both[-1].marker == "python_version < '3.14'"

    (team / "tools.py").unlink()
    assert main(call) == 0
    assert not (out / "tools.py").exists()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("teamrun-package")]
    assert "for Azure Functions" in capsys.readouterr().out


def test_a_folder_with_something_else_is_not_replaced(
    team: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, "precious/notes.txt")

    assert main(
        ["--platform", "azure", "--team", str(team), "--output", str(tmp_path / "precious")]
    )

    assert "--output" in capsys.readouterr().err
    assert (tmp_path / "precious" / "notes.txt").exists()


def test_options_of_the_other_platform_are_refused(
    team: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--platform", "azure", "--team", str(team), "--python", "3.13"])

    assert "pythonVersion" in capsys.readouterr().err
