"""Where calls of tools differ from AutoGen's, as the documents say."""

from typing import Any

import pytest

from teamrun.core import CancellationToken
from teamrun.errors import InvalidArguments
from teamrun.tools import FunctionTool


async def double(number: int) -> int:
    """Double a number."""
    return 2 * number


@pytest.mark.behaviour("tool.run_json.call_id")
async def test_the_id_of_a_call_is_a_keyword() -> None:
    run: Any = FunctionTool(double).run_json
    assert await run({"number": 1}, CancellationToken(), call_id="c") == 2
    with pytest.raises(TypeError, match="positional"):
        await run({"number": 1}, CancellationToken(), "c")


@pytest.mark.behaviour("tool.errors")
async def test_arguments_that_do_not_fit_are_a_value_error() -> None:
    with pytest.raises(ValueError, match="number") as caught:
        await FunctionTool(double).run_json({"number": "x"})
    assert isinstance(caught.value, InvalidArguments)
