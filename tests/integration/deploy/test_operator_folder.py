"""The operator's folder in packages of functions, and the folder that is published to Azure."""

from collections.abc import Generator
from functools import cache
from pathlib import Path

import azure_package
import function_packages
import pytest
from azure_package import build_folder
from dev_environment import AZURE, Failed
from function_packages import FUNCTIONS, Function, Target, build
from operator_folder import LOCK, OperatorFolder, Pin, pins_of, sources_of
from package_functions import main
from tests.support.service import ROOT

HASH = "sha256:" + "0" * 64
OURS = Pin("pydantic", "2.13.0", "", (HASH,))


@pytest.fixture(scope="module", autouse=True)
def packages_are_listed_once() -> Generator[None]:
    with pytest.MonkeyPatch.context() as patch:
        listed = cache(azure_package.packages_distributions)  # it reads 100,000 names: 500 ms
        patch.setattr(azure_package, "packages_distributions", listed)
        yield


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


SECRETS = ["secrets.env", "compose.env", "env", "id_rsa", "server.pem", "local.settings.json"]


@pytest.mark.parametrize("path", [*SECRETS, "a/credentials.json", "TLS.KEY", "x.p12"])
def test_a_file_that_may_have_secrets_is_refused(team: Path, path: str) -> None:
    write(team, path, "x")

    with pytest.raises(Failed, match=f"{path} may have a key or a password.*move it out"):
        OperatorFolder(team).files()


def test_a_private_key_is_refused_whatever_its_name(team: Path) -> None:
    write(team, "credentials.py", 'x = "-----BEGIN PRIVATE KEY-----"')
    OperatorFolder(team).files()
    write(team, "a/login.txt", "# mine\n-----BEGIN RSA PRIVATE KEY-----\nMII")

    with pytest.raises(Failed, match=r"a/login\.txt may have a key"):
        OperatorFolder(team).files()


def test_a_link_out_of_the_folder_is_refused(team: Path, tmp_path: Path) -> None:
    write(tmp_path, "outside/a.txt")
    write(team, ".env")
    write(team, "data/a.csv")
    for target in (tmp_path / "outside/a.txt", tmp_path / "outside", team / "data", "absent"):
        (team / "linked").symlink_to(target)
        with pytest.raises(Failed, match="linked is a link"):
            OperatorFolder(team).files()
        (team / "linked").unlink()
    (team / "linked").symlink_to(".env")
    with pytest.raises(Failed, match="linked may have a key"):
        OperatorFolder(team).files()
    (team / "linked").unlink()
    (team / "linked").symlink_to("data/a.csv")
    assert team / "linked" in OperatorFolder(team).files()


def test_what_only_development_needs_is_left_out(
    team: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    needed = ("teamrun.yaml", "tools.py", "prompts/writer.md", "data/a.csv")
    left_out = ("venv/bin/a.py", "mine/pyvenv.cfg", "node_modules/x/id_rsa", "tests/secrets.env")
    for path in (*needed, *left_out, "README.md", "a.ipynb", ".git/config", ".env", LOCK):
        write(team, path)
    (team / "venv/bin/python").symlink_to("/usr/bin/env")
    folder = OperatorFolder(team)

    assert {str(file.relative_to(team)) for file in folder.files()} == {*needed}
    folder.tell_left_out()
    assert (
        capsys.readouterr()
        .err.strip()
        .endswith(": README.md, a.ipynb, mine, node_modules, tests, venv")
    )


def test_what_lies_beside_our_sources_is_not_packaged(tmp_path: Path) -> None:
    for path in ("a.py", "pages/docs.html", "secrets.env", "sub/notes.txt", "sub/b.py"):
        write(tmp_path, path)
    found = {str(file.relative_to(tmp_path)) for file in sources_of(tmp_path)}
    assert found == {"a.py", "sub/b.py", "pages/docs.html"}


@pytest.mark.parametrize("interrupted", ["gather", "zip", "move"])
def test_an_interrupted_build_leaves_no_mix(
    team: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interrupted: str
) -> None:
    out = tmp_path / "out"
    calls = 0

    class Sources:
        def copy(self, function: Function, content: Path, target: Target) -> None:
            nonlocal calls
            calls += 1
            write(content, "built_for.txt", str(target))
            if interrupted == "zip" and calls == len({*FUNCTIONS.values()}) + 2:
                raise KeyboardInterrupt

    def gather(target: Target, *_: object) -> Sources:
        if interrupted == "gather" and calls:
            raise KeyboardInterrupt
        return Sources()

    def kept() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in out.iterdir()}

    monkeypatch.setattr(function_packages, "_gather", gather)
    build(Target("arm64", "3.13"), team=team, output=out)
    first = kept()
    assert {*first} == {"built.json", *(f"{name}.zip" for name in FUNCTIONS)}
    if interrupted == "move":
        replace = Path.replace

        def broken(self: Path, target: Path) -> Path:
            if self.name == "worker.zip":
                raise KeyboardInterrupt
            return replace(self, target)

        monkeypatch.setattr(Path, "replace", broken)
    with pytest.raises(KeyboardInterrupt):
        build(Target("x86_64", "3.12"), team=team, output=out)
    if interrupted == "move":
        assert "worker.zip" not in kept() and b"x86_64" in kept()["built.json"]
    else:
        assert kept() == first


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
