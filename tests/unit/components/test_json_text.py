import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teamrun.cli.given import named_team
from teamrun.components.reading.json_text import load_json
from teamrun.errors import UsageError

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(VALUES)
def test_json_without_repeated_names_is_read_as_it_is(value: Any) -> None:
    assert load_json(json.dumps(value)) == value


@given(name=st.text(), before=VALUES, after=VALUES, around=st.integers(0, 3))
def test_a_name_that_an_object_has_twice_is_refused_at_any_depth(
    name: str, before: Any, after: Any, around: int
) -> None:
    text = f"{{{json.dumps(name)}: {json.dumps(before)}, {json.dumps(name)}: {json.dumps(after)}}}"
    text = "[" * around + text + "]" * around
    with pytest.raises(ValueError):
        load_json(text)


@pytest.mark.parametrize("text", ["NaN", "[-Infinity]", '{"a": Infinity}', "[" * 200_000])
def test_json_that_only_python_accepts_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        load_json(text)


def test_a_team_file_with_a_name_twice_is_refused(tmp_path: Any) -> None:
    file = tmp_path / "team.json"
    file.write_text('{"type": "a", "type": "b"}', encoding="utf-8")
    with pytest.raises(UsageError):
        named_team(str(file))
