"""Stores of each kind."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from teamrun.storage.base import ObjectStore
from teamrun.storage.open import open_store

BUCKETS = {"s3": "bucket_url", "az": "container_url"}


@pytest.fixture(
    params=[
        "memory",
        "file",
        "file-fsync",
        pytest.param("s3", marks=pytest.mark.integration),
        pytest.param("az", marks=pytest.mark.integration),
    ]
)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[ObjectStore]:
    """An empty store of each kind."""
    kind: str = request.param
    if kind in BUCKETS:
        url = request.getfixturevalue(BUCKETS[kind])
    else:
        url = "memory://" if kind == "memory" else f"file://{tmp_path}/store"
    opened = open_store(url, fsync=kind == "file-fsync")
    yield opened
    await opened.close()
