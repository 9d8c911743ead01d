"""Real components, one of each for the whole run, emptied or renamed between tests."""

import uuid
from collections.abc import Iterator
from typing import Any, cast

import pytest
import redis
from tests.support.services import Azurite, Moto, Valkey, azurite, moto, valkey


@pytest.fixture(scope="session")
def moto_server() -> Iterator[Moto]:
    with moto() as server:
        yield server


@pytest.fixture(scope="session")
def shared_valkey() -> Iterator[Valkey]:
    with valkey() as server:
        yield server


@pytest.fixture
def valkey_server(shared_valkey: Valkey) -> Valkey:
    """A Valkey without data; a test that kills one starts its own."""
    with redis.Redis(unix_socket_path=str(shared_valkey.socket)) as client:
        cast("Any", client).flushall()  # redis-py leaves it untyped
    return shared_valkey


@pytest.fixture
def bucket_url(moto_server: Moto, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty bucket, and credentials in the environment."""
    for name, value in moto_server.environ().items():
        monkeypatch.setenv(name, value)
    name = f"bucket-{uuid.uuid4().hex}"
    moto_server.make_bucket(name)
    return moto_server.url(name, "some/folder")


@pytest.fixture(scope="session")
def azure_server() -> Iterator[Azurite]:
    with azurite() as server:
        yield server


@pytest.fixture
def container_url(azure_server: Azurite, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty container, and credentials in the environment."""
    for name, value in azure_server.environ().items():
        monkeypatch.setenv(name, value)
    name = f"container-{uuid.uuid4().hex}"
    azure_server.make_container(name)
    return azure_server.url(name, "some/folder")
