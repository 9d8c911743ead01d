from dataclasses import dataclass

import pytest

from teamrun.errors import PreconditionFailed
from teamrun_api.conditional import matches, revision_tag, version_in


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


@pytest.mark.parametrize(
    ("header", "hint"),
    [
        ("3", 'Did you mean `"v3"`?'),
        ("v3", 'Did you mean `"v3"`?'),
        ('"3"', 'Did you mean `"v3"`?'),
        ('W/"v3"', "with its quotes."),
        ('"v1", "v2"', "Send one ETag"),
        ("x" * 500, f"`{'x' * 80}`, which"),
    ],
)
def test_an_if_match_that_is_no_tag_says_what_to_send(header: str, hint: str) -> None:
    with pytest.raises(PreconditionFailed) as refused:
        version_in(header)

    assert hint in refused.value.message
