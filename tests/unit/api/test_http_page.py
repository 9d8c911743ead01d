"""Paths and codes in `docs/reference/http.md` match the code."""

import re
from pathlib import Path

from teamrun import errors
from teamrun.errors import TeamrunError
from teamrun_api import faults
from teamrun_api.app import described
from teamrun_api.problems import status_of

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "http.md").read_text(encoding="utf-8")


def test_the_page_lists_every_operation() -> None:
    listed = set(re.findall(r"^\| `([A-Z]+ /\S+)` \|", PAGE, re.MULTILINE))
    paths = described()["paths"].items()
    assert listed == {f"{method.upper()} {path}" for path, item in paths for method in item}


def test_the_page_lists_codes_under_the_status_that_they_have() -> None:
    known = {
        kind.code: kind
        for module in (errors, faults)
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, TeamrunError)
    }
    rows = re.findall(r"^\| (\d{3}) \| (.*) \|$", PAGE, re.MULTILINE)
    assert len(rows) == 17
    for status, text in rows:
        for code in re.findall(r"`(\w+)`", text):
            kind = known.get(code, errors.DefinitionError if status == "422" else TeamrunError)
            assert status_of(kind) == int(status), code
    written = set(re.findall(r"`(\w+)`", " ".join(text for _, text in rows)))
    assert {kind.code for kind in vars(faults).values() if _is_fault(kind)} <= written
    assert {code for code, kind in known.items() if status_of(kind) in (404, 409, 410)} <= written


def _is_fault(kind: object) -> bool:
    return (
        isinstance(kind, type)
        and issubclass(kind, TeamrunError)
        and kind.__module__ == faults.__name__
        and not kind.__name__.startswith("_")
    )
