"""`${NAME}` in texts of the operator's file."""

import pytest

from teamrun.components.definitions.environment import (
    MissingVariable,
    expand,
    expand_all,
    malformed,
    variables,
)


@pytest.mark.behaviour("config.keys")
@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("plain, $5 and $$", "plain, $5 and $$"),
        ("${A}", "one"),
        ("<${A}${A}>", "<oneone>"),
        ("${B:-two}", "two"),
        ("${A:-two}", "one"),
        ("${B:-}", ""),
        ("${EMPTY:-two}", "two"),
        ("${B:-a b:c/$d}", "a b:c/$d"),
        ("$${A}", "${A}"),
        ("$${A} is ${A}", "${A} is one"),
    ],
)
def test_references_are_replaced(text: str, expanded: str) -> None:
    assert expand(text, {"A": "one", "EMPTY": ""}) == expanded


@pytest.mark.parametrize("text", ["${B}", "${EMPTY}"])
def test_a_variable_without_value_is_missing(text: str) -> None:
    with pytest.raises(MissingVariable) as caught:
        expand(text, {"EMPTY": ""})

    assert caught.value.name in text


def test_a_value_is_not_expanded_again() -> None:
    assert expand("${A}", {"A": "${B}", "B": "no"}) == "${B}"


def test_all_texts_of_a_value_are_expanded_and_its_keys_are_not() -> None:
    value = {"${A}": ["${A}", 1, None, {"x": "${A}"}]}

    assert expand_all(value, {"A": "one"}) == {"${A}": ["one", 1, None, {"x": "one"}]}


@pytest.mark.parametrize(
    ("text", "is_malformed"),
    [
        *(("${A}", False), ("$${ A", False), ("$$${A}", False), ("${B:-}${A}", False)),
        *(("${A", True), ("${A B}", True), ("${1}", True)),
        *(("${A:-${B:-x}}", True), ("${A:-$${x}", True), ("a ${A:-b${C}", True)),
    ],
)
def test_an_opening_that_is_no_reference_is_seen(text: str, is_malformed: bool) -> None:
    assert malformed(text) is is_malformed


def test_the_variables_of_a_text_are_those_that_would_be_replaced() -> None:
    assert variables("${A} ${B:-x} $${C} $D {E}") == {"A", "B"}
