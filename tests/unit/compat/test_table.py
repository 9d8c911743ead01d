"""The table of AutoGen's names: each is found, or an error names the page."""

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest
from tests.support.pages import ROOT

import teamrun.compat.autogen as compat
from teamrun.compat.autogen.finder import VERSIONS
from teamrun.compat.autogen.instead import instead
from teamrun.compat.autogen.table import ABSENT, MODULES, PAGES, homes, packages


@pytest.fixture(autouse=True)
def forget_modules() -> Iterator[None]:
    yield
    for name in set(sys.modules) & packages():
        del sys.modules[name]


@pytest.mark.behaviour("import.modules", "import.missing")
@pytest.mark.parametrize("module", MODULES)
def test_the_names_of_a_module_are_found_or_an_error_names_the_page(module: str) -> None:
    found = import_module(module)
    for name, (home, ours) in homes(module).items():
        if home == ABSENT:
            with pytest.raises(ImportError, match=f"no '{name}' of '{module}'") as caught:
                getattr(found, name)
            page = PAGES[module.partition(".")[0]]
            assert {instead(module, name), page} <= _parts(str(caught.value))
            assert _row(page, name).endswith(f"| {instead(module, name)} |")
        else:
            assert getattr(found, name) is getattr(import_module(home), ours)


def _parts(message: str) -> set[str]:
    """What an error says is to be used, and the page that it names."""
    _, remedy, page = re.split(r"In its place: |\. See | in Teamrun's sources\.", message)[:3]
    return {remedy, page}


@cache
def _rows(page: str) -> list[str]:
    return [
        line for line in (ROOT / page).read_text(encoding="utf-8").splitlines() if line[:1] == "|"
    ]


def _row(page: str, name: str) -> str:
    """The row of a page whose first cell has a name."""
    return next((row for row in _rows(page) if f"`{name}`" in row.split(" | ")[0]), "")


@pytest.mark.behaviour("import.missing")
@pytest.mark.parametrize("page", sorted(set(PAGES.values())))
def test_the_pages_of_the_errors_exist(page: str) -> None:
    assert (ROOT / page).is_file()


def test_packages_that_only_contain_others_can_be_imported() -> None:
    import_module("autogen_ext.tools.mcp")
    assert {"autogen_ext.tools", "autogen_ext.models", "autogen_ext.memory"} <= packages()
    assert sys.modules["autogen_ext"].tools is sys.modules["autogen_ext.tools"]
    assert import_module("autogen_core").models is import_module("autogen_core.models")


@pytest.mark.behaviour("import.version")
@pytest.mark.parametrize("package", VERSIONS)
def test_each_package_has_a_version(package: str) -> None:
    assert import_module(package).__version__ == VERSIONS[package]


def test_unknown_names_and_modules_are_the_errors_of_python() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = import_module("autogen_core").Nothing
    with pytest.raises(ImportError, match="cannot import name 'Nothing'"):
        exec("from autogen_core import Nothing")
    with pytest.raises(
        ModuleNotFoundError, match=r"'autogen_core.nothing' on Teamrun. docs/how-to"
    ):
        import_module("autogen_core.nothing")


def test_dir_and_star_have_the_names_that_there_are() -> None:
    module = import_module("autogen_core.code_executor")
    names: dict[str, object] = {}
    exec("from autogen_core.code_executor import *", names)

    assert "CodeBlock" in names
    assert "with_requirements" not in names
    assert set(module.__all__) <= set(dir(module))


def test_installing_again_adds_no_second_finder() -> None:
    before = list(sys.meta_path)
    compat.install()
    assert sys.meta_path == before


def test_a_missing_package_of_our_own_module_is_not_taken_for_a_missing_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "teamrun.core.actors", None)
    with pytest.raises(ImportError, match="Teamrun has no 'AgentId'"):
        _ = import_module("autogen_core").AgentId
    monkeypatch.undo()
    monkeypatch.delattr(import_module("teamrun.core.actors"), "AgentId", raising=False)
    monkeypatch.setitem(sys.modules, "teamrun.core.actors.ids", None)
    with pytest.raises(ModuleNotFoundError, match=r"teamrun.core.actors.ids"):
        _ = import_module("autogen_core").AgentId


def test_the_table_imports_nothing_but_itself() -> None:
    source = Path(import_module("teamrun.compat.autogen.table").__file__ or "")
    imported = {
        node.module
        for node in ast.parse(source.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ImportFrom)
    }
    assert imported == {"collections.abc", "functools", "typing"}
