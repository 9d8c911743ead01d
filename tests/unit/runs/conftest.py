from collections.abc import AsyncGenerator

import pytest
from tests.support.runs import closing_clusters


@pytest.fixture(autouse=True)
async def clusters_are_closed() -> AsyncGenerator[None]:
    """Close the workers and services of a test at its end, also when it fails."""
    async with closing_clusters():
        yield
