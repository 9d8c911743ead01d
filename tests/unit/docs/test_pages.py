"""Rules for every page: links, paths, commands."""

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from dev import make_parser
from package_functions import make_parser as package_parser
from reference_pages import PAGES as GENERATED
from tests.support.commands import LEAVES
from tests.support.pages import PAGES, ROOT, Block, Page, commands, page

from teamrun.cli.app import GROUPS

MACHINE_PATH = re.compile(r"(?<![\w.:/])/(?:home|root|work|Users|tmp|opt|mnt)/|[A-Z]:\\\\")
EXTRAS = re.compile(r"\[([a-z0-9,]+)\]['\"]?$")


def name_of(value: Page | Block) -> str:
    return value.name if isinstance(value, Page) else value.place


def shell_lines(page: Page) -> Iterator[str]:
    for block in page.blocks:
        if block.language in ("sh", ""):
            yield from commands(block)


def calls(line: str, *program: str) -> Iterator[list[str]]:
    """The arguments of each call of a program in a line of shell, those in `$(...)` included."""
    inner = re.search(r"\$\(([^()]*)\)", line)
    if inner:
        yield from calls(inner[1], *program)
        line = line.replace(inner[0], "X")
    reader = shlex.shlex(line, posix=True, punctuation_chars="|&;>")
    reader.whitespace_split = True
    words: list[str] = []
    for word in [*reader, ";"]:
        if set(word) <= set("|&;>"):
            if words[: len(program)] == [*program]:
                yield words[len(program) :]
            words = []
        elif words or "=" not in word:
            words.append(word)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_relative_links_resolve(page: Page) -> None:
    broken: list[str] = []
    for link in page.links:
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.path.parent / path).resolve() if path else page.path
        if not (target.exists() and target.is_relative_to(ROOT) and has_anchor(target, anchor)):
            broken.append(link)

    assert broken == []


def has_anchor(target: Path, anchor: str) -> bool:
    return not anchor or anchor in Page(target, target.read_text(encoding="utf-8")).anchors


def test_every_page_is_reached_from_the_index() -> None:
    seen: set[str] = set()
    waiting = ["docs/README.md"]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        here = page(name)
        targets = [(here.path.parent / link.partition("#")[0]).resolve() for link in here.links]
        waiting += [
            target.relative_to(ROOT).as_posix()
            for target in targets
            if target.suffix == ".md" and target.is_relative_to(ROOT / "docs")
        ]

    assert {here.name for here in PAGES if here.name.startswith("docs/")} == seen


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_page_names_a_path_of_some_machine(page: Page) -> None:
    assert MACHINE_PATH.findall(page.text) == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_of_teamrun_are_ones_that_it_takes(page: Page) -> None:
    for line in shell_lines(page):
        for first, *rest in calls(line, "teamrun"):
            name, arguments = named(first, rest)
            with LEAVES[name].make_context(name, arguments):
                pass


def named(first: str, rest: list[str]) -> tuple[str, list[str]]:
    """The name of a command, and its arguments."""
    if first not in GROUPS:
        return first, rest
    if rest and f"{first} {rest[0]}" in LEAVES:
        return f"{first} {rest[0]}", rest[1:]
    return f"{first} {GROUPS[first].default}", rest


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_of_dev_py_are_ones_that_it_takes(page: Page) -> None:
    for line in shell_lines(page):
        for arguments in calls(line, "python3", "scripts/dev.py"):
            options, rest = make_parser().parse_known_args(arguments)
            assert options.command
            if options.command == "package":
                package_parser().parse_args(rest)
            else:
                assert not rest or options.command == "test"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_extras_that_are_to_be_installed_exist(page: Page) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for line in shell_lines(page):
        for arguments in calls(line, "pip", "install"):
            named = [found for word in arguments if (found := EXTRAS.search(word))]
            wanted = {extra for found in named for extra in found[1].split(",")}
            assert wanted <= project["optional-dependencies"].keys()


@pytest.mark.parametrize("name", GENERATED)
def test_pages_that_are_made_from_the_code_are_up_to_date(name: str) -> None:
    # Renew them with: python scripts/reference_pages.py
    assert page(f"docs/reference/{name}").text == GENERATED[name]()


def test_a_command_is_found_anywhere_in_a_line() -> None:
    line = 'A=1 teamrun watch "$(teamrun runs --ids)" | head  # teamrun fly'

    assert list(calls(line, "teamrun")) == [["runs", "--ids"], ["watch", "X"]]
