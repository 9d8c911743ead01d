"""Packages that only some features need."""

import contextlib
import shlex
import sys
from pathlib import Path

import pytest

from teamrun.core import optional
from teamrun.core.optional import install_command, require
from teamrun.errors import MissingPackage


def test_a_package_that_is_there_passes_by_the_name_of_its_distribution() -> None:
    require("pydantic", extra="x", needed_by="this test", lowest=(2, 0))
    require("pydantic-core", extra="x", needed_by="this test")
    require("azure-identity", extra="azure", needed_by="this test")


@pytest.mark.parametrize("package", ["no-such-package", "nosuch.package", "azure-nothing"])
def test_a_package_that_is_absent_is_named_with_the_line_that_installs_it(package: str) -> None:
    with pytest.raises(MissingPackage) as raised:
        require(package, extra="bedrock", needed_by="BedrockClient")
    assert str(raised.value) == (
        f"BedrockClient needs the package {package!r}: {install_command('bedrock')}"
    )
    assert raised.value.data == {"package": package, "extra": "bedrock"}


def test_a_package_that_is_too_old_is_named_with_the_version_that_is_needed() -> None:
    with pytest.raises(MissingPackage) as raised:
        require("pydantic", extra="x", needed_by="This", lowest=(99, 1))
    assert raised.value.data == {"package": "pydantic", "extra": "x", "needed": "99.1"}


@pytest.mark.parametrize(("version", "passes"), [("'2.1'", True), ("'1.9'", False), ("None", True)])
def test_a_package_without_metadata_is_asked_for_its_version(
    version: str, passes: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"of_the_platform_{len(version)}_{passes}"  # imported modules stay
    (tmp_path / f"{name}.py").write_text(f"__version__ = {version}\n", encoding="utf-8")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])

    with contextlib.nullcontext() if passes else pytest.raises(MissingPackage):
        require(name, extra="x", needed_by="this test", lowest=(2, 0))


def test_in_a_clone_the_command_installs_from_the_clone() -> None:
    root = Path(__file__).resolve().parents[3]

    command = shlex.split(install_command("api"))

    assert command == [sys.executable, "-m", "pip", "install", "-e", f"{root}[api]"]


@pytest.mark.parametrize("kind", ["folder", "index"])
def test_elsewhere_it_installs_from_where_the_package_came_from(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone = tmp_path / "my clone"
    clone.mkdir()
    site = tmp_path / "site"
    info = site / "teamrun-1.0.dist-info"
    info.mkdir(parents=True)
    fields = "Metadata-Version: 2.1\nName: teamrun\nVersion: 1.0\n"
    (info / "METADATA").write_text(fields, encoding="utf-8")
    if kind == "folder":
        record = f'{{"url": "{clone.as_uri()}", "dir_info": {{}}}}'
        (info / "direct_url.json").write_text(record, encoding="utf-8")
    monkeypatch.setattr(optional, "_ROOT", site)
    monkeypatch.setattr(sys, "path", [str(site), *sys.path])

    assert shlex.split(install_command("api"))[-1] == (
        f"{clone}[api]" if kind == "folder" else "teamrun[api]"
    )
