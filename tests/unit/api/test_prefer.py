from dataclasses import dataclass

import pytest

from teamrun_api.prefer import preferences, wait_of


@dataclass(frozen=True)
class Case:
    id: str
    header: str | None
    wait: int | None


CASES = [
    Case("absent", None, None),
    Case("plain", "wait=20", 20),
    Case("zero", "wait=0", 0),
    Case("upper case", "WAIT=20", 20),
    Case("spaces around the sign", "wait = 20", 20),
    Case("quoted", 'wait="20"', 20),
    Case("among others", 'respond-async, wait=5; strict, foo="a, wait=9"', 5),
    Case("the first counts", "wait=1, wait=2", 1),
    Case("no number", "wait=soon", None),
    Case("negative", "wait=-1", None),
    Case("fraction", "wait=1.5", None),
    Case("no value", "wait", None),
    Case("beyond reason", "wait=99999999999", None),
    Case("digits of another script", "wait=٣", None),
    Case("open quote", 'wait="20', None),
    Case("nonsense", "=;,,=20", None),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_wait_is_read_where_it_can_be_and_ignored_otherwise(case: Case) -> None:
    assert wait_of(case.header) == case.wait


def test_preferences_have_lower_case_names_and_unescaped_values() -> None:
    header = r'Respond-Async, foo="a\"b, c"; p=1, empty=""'
    assert preferences(header) == {"respond-async": "", "foo": 'a"b, c', "empty": ""}
