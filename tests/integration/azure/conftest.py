"""The services of Azure that run here: one Azurite for all tests of the folder."""

from collections.abc import Iterator

import pytest
from tests.support.services import Azurite, azurite


@pytest.fixture(scope="session")
def azure_server() -> Iterator[Azurite]:
    with azurite() as server:
        yield server
