"""Which of some names a text mentions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teamrun.teams.selection import mentioned


@pytest.mark.behaviour("team.selector.names.scripts")
@pytest.mark.parametrize(
    ("text", "names", "found"),
    [
        ("请让作家发言。", ["作家", "评论家"], ["作家"]),
        ("请让writer发言。", ["writer", "critic"], ["writer"]),
        ("次は作家さんです", ["作家"], ["作家"]),
        ("다음은 작가가 말합니다", ["작가", "비평가"], ["작가"]),
        ("ให้นักเขียนพูด", ["นักเขียน"], ["นักเขียน"]),
        ("大作家", ["作家", "大作家"], ["大作家"]),
        ("Next作家speaks", ["作家"], ["作家"]),
        ("Als Nächste: Jürgen.", ["Jürgen", "Jür"], ["Jürgen"]),
        ("Jürgens Beitrag", ["Jürgen"], []),
        ("Jose\u0301 speaks", ["Jos\u00e9"], ["Jos\u00e9"]),
        ("Слово писателю, Анна", ["Анна", "Ан"], ["Анна"]),
        ("cy d", ["cy_d", "cy"], ["cy_d"]),
        (r"cy\_d", ["cy_d"], ["cy_d"]),
        ("annual", ["ann"], []),
        ("ANN", ["ann"], []),
        ("bob, then ann", ["ann", "bob"], ["ann", "bob"]),
        ("ann", ["ann_b", "ann", "annb"], ["ann"]),
        ("ann_b", ["ann", "b", "ann_b"], ["ann_b"]),
        ("ann b", ["ann", "b", "ann_b"], ["ann_b"]),
        ("annb", ["ann", "b", "ann_b"], []),
        ("nn", ["ann"], []),
        ("ann ann", ["ann", "b"], ["ann"]),
    ],
)
def test_names_are_found_in_sentences_of_every_script(
    text: str, names: list[str], found: list[str]
) -> None:
    assert mentioned(text, names) == found


@given(names=st.lists(st.from_regex(r"[ab_\u00e9][ab_\u00e9]{0,3}", fullmatch=True), unique=True))
def test_an_answer_that_is_a_name_is_read_like_the_name_in_a_sentence(names: list[str]) -> None:
    for name in names:
        assert mentioned(name, names) == mentioned(f"({name})", names) == [name]
