"""The page of behaviours: each row that claims one is held by a test, and each citation has a row.

A test cites rows by their ids, `@pytest.mark.behaviour("team.selector.retries")`. The citations
are read from the source, without an import.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.support.pages import ROOT, page

PAGE = page("docs/reference/autogen.md")
STATUS = re.compile(r"same|addition|(differs|absent): \S.*")
ROW = re.compile(r"\| `([a-z0-9_.]+)` \|")


class Row(NamedTuple):
    id: str
    behaviour: str
    autogen: str


def rows() -> list[Row]:
    lines = (line for line in PAGE.prose.splitlines() if ROW.match(line))
    cells = (re.split(r"(?<!\\)\|", line.strip().strip("|")) for line in lines)
    return [Row(id.strip(" `"), *(cell.strip() for cell in rest)) for id, *rest in cells]


def cited(source: str) -> Iterator[str]:
    """The ids in the marks of a module. Raises a ValueError for one that is not a literal."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Attribute(attr="behaviour", value=ast.Attribute(attr="mark"))):
                yield from (ast.literal_eval(each) for each in node.args)
            case _:
                pass


@cache
def citations() -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        source = path.read_text(encoding="utf-8")
        if "mark.behaviour" in source and path != Path(__file__):
            for id in cited(source):
                found.setdefault(id, []).append(path)
    return found


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.id)
def test_a_behaviour_is_cited_by_a_test_or_the_page_says_why_it_is_absent(row: Row) -> None:
    assert STATUS.fullmatch(row.autogen), f"the last column of {row.id}: {row.autogen!r}"
    assert row.behaviour
    assert row.id in citations() or row.autogen.startswith("absent: ")


def test_every_id_that_a_test_cites_is_a_row() -> None:
    assert citations().keys() <= {row.id for row in rows()}


def test_no_id_has_two_rows() -> None:
    ids = [row.id for row in rows()]
    assert sorted(ids) == sorted(set(ids))


def test_every_table_row_of_the_page_is_read() -> None:
    lines = [line for line in PAGE.prose.splitlines() if line.startswith("| ")]
    heads = [line for line in lines if line.startswith("| id |")]
    assert len(lines) - len(heads) == len(rows())


def test_citations_are_read_from_the_source() -> None:
    source = "@pytest.mark.behaviour('a.b', 'a.c')\ndef test(): ...\n"
    assert list(cited(source)) == ["a.b", "a.c"]
    with pytest.raises(ValueError, match="malformed"):
        list(cited("mark = pytest.mark.behaviour(NAME)"))
