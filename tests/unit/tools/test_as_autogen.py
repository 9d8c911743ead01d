"""Where calls of tools differ from AutoGen's, as the documents say."""

from typing import Any

import pytest

from teamrun.core import CancellationToken
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
