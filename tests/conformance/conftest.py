"""One deployment per host, for all tests of the suite."""

from collections.abc import Generator

import pytest
from tests.conformance.client import Client
from tests.conformance.hosts import HOSTS, Host
from tests.conformance.team import write_team


@pytest.fixture(scope="package", params=HOSTS)
def host(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Host]:
    """A deployment with the team file of the suite."""
    folder = tmp_path_factory.mktemp("host")
    write_team(folder)
    with HOSTS[request.param](folder) as started:
        yield started


@pytest.fixture
def client(host: Host) -> Generator[Client]:
    """A client of its API."""
    with Client(host.url) as made:
        yield made
