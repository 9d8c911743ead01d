"""The services of AWS that run here: one moto server for all tests of the folder."""

from collections.abc import Iterator

import pytest
from tests.support.services import Moto, moto


@pytest.fixture(scope="session")
def moto_server() -> Iterator[Moto]:
    with moto() as server:
        yield server
