"""Tests of clients of models over HTTP."""

from collections.abc import Iterator

import pytest
from tests.support.bedrock import shared_data_files


@pytest.fixture(autouse=True, scope="package")
def quick_aws() -> Iterator[None]:
    with shared_data_files():
        yield
