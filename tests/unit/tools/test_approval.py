"""Which answers approve a call."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teamrun import FunctionTool
from teamrun.errors import ToolError
from teamrun.tools import ApprovedTool

YES = {"yes", "y", "approve"}


def pay() -> str:
    """Pay."""
    return "PAID"


def _approve(answer: Any, *, is_async: bool) -> bool:
    def now(_question: str) -> Any:
        return answer

    async def later(_question: str) -> Any:
        return answer

    tool = ApprovedTool(FunctionTool(pay), later if is_async else now)
    try:
        return asyncio.run(tool.run_json({})) == "PAID"
    except ToolError:
        return False


@pytest.mark.parametrize("is_async", [True, False])
@pytest.mark.parametrize("answer", [True, "y", "Yes", " YES\n", "approve", "Approve"])
def test_a_clear_yes_approves(answer: object, is_async: bool) -> None:
    assert _approve(answer, is_async=is_async)


@pytest.mark.parametrize("is_async", [True, False])
@pytest.mark.parametrize(
    "answer", [False, None, "", "n", "no", "reject", "yes, but", "true", 1, [True], object()]
)
def test_anything_else_rejects(answer: object, is_async: bool) -> None:
    assert not _approve(answer, is_async=is_async)


@given(st.one_of(st.text(), st.integers(), st.binary(), st.lists(st.booleans())))
def test_no_other_value_approves(answer: object) -> None:
    is_yes = isinstance(answer, str) and answer.strip().lower() in YES
    assert _approve(answer, is_async=True) is is_yes
