"""One deployment per host, for all tests of the suite."""

from collections.abc import Generator
from typing import NamedTuple

import pytest
from tests.conformance.client import Client
from tests.conformance.hosts import HOSTS, Host
from tests.conformance.plays import Plays
from tests.conformance.site import API_KEY, Site, open_site


class Deployed(NamedTuple):
    """A host that runs, and its surroundings."""

    host: Host
    site: Site


@pytest.fixture(scope="package", params=HOSTS)
def deployed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Deployed]:
    """A deployment with the team file of the suite."""
    with (
        open_site(tmp_path_factory.mktemp("host")) as site,
        HOSTS[request.param](site) as host,
    ):
        yield Deployed(host, site)


@pytest.fixture(scope="package")
def host(deployed: Deployed) -> Host:
    """The host itself."""
    return deployed.host


@pytest.fixture(scope="package")
def site(deployed: Deployed) -> Site:
    """Its surroundings."""
    return deployed.site


@pytest.fixture
def client(host: Host, site: Site) -> Generator[Client]:
    """A client of its API."""
    with Client(host.url, API_KEY, site.answers) as made:
        yield made


@pytest.fixture(scope="package")
def plays(deployed: Deployed) -> Generator[Plays]:
    """The plays on it."""
    made = Plays(deployed.host, deployed.site)
    yield made
    made.close()
