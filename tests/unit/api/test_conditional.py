from dataclasses import dataclass

import pytest

from teamrun_api.conditional import matches, revision_tag


@dataclass(frozen=True)
class Case:
    id: str
    header: str | None
    same: bool


CASES = [
    Case("absent", None, False),
    Case("equal", '"r7"', True),
    Case("weak", 'W/"r7"', True),
    Case("in a list", '"r5", W/"r6" ,"r7"', True),
    Case("any", " * ", True),
    Case("other", '"r8"', False),
    Case("longer", '"r77"', False),
    Case("unquoted", "r7", False),
    Case("empty", "", False),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_if_none_match_compares_entity_tags(case: Case) -> None:
    assert matches(case.header, revision_tag(7)) is case.same
