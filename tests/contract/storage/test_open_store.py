"""URLs of stores."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from teamrun.errors import UsageError
from teamrun.storage.bucket import BucketStore
from teamrun.storage.file import FileStore
from teamrun.storage.memory import MemoryStore
from teamrun.storage.open import open_store


def test_memory_has_a_url() -> None:
    assert isinstance(open_store("memory://"), MemoryStore)


@pytest.mark.parametrize("form", ["file://{}", "file://localhost{}", "{}"])
def test_a_folder_may_be_a_url_or_a_path(tmp_path: Path, form: str) -> None:
    store = open_store(form.format(tmp_path / "data"))
    assert isinstance(store, FileStore)
    assert store.root == (tmp_path / "data").resolve()


def test_a_folder_url_may_be_percent_encoded(tmp_path: Path) -> None:
    store = open_store(f"file://{tmp_path}/with%20space")
    assert isinstance(store, FileStore)
    assert store.root.name == "with space"


@pytest.mark.parametrize(
    "url",
    ["s3://bucket", "s3://bucket/a/b?region=eu-central-1", "az://container/x?account=acc"],
)
async def test_a_bucket_url_opens_without_asking_the_network(url: str) -> None:
    store = open_store(url)
    assert isinstance(store, BucketStore)
    await store.close()


@pytest.mark.parametrize(
    "url",
    ["", "s3://", "file://", "file://host/path", "ftp://x/y", "redis://x", "s3://b?key=SECRET"],
)
def test_an_invalid_store_url_is_refused_without_repeating_secrets(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_store(url)
    assert caught.value.data["setting"] == "store"
    assert "SECRET" not in caught.value.message


def test_opening_a_folder_loads_no_sdk() -> None:
    program = (
        "import sys, teamrun.storage.open, teamrun.testing, teamrun.live.open\n"
        "import teamrun.dispatch.celery\n"
        "sys.exit(bool({'obstore', 'redis', 'celery', 'boto3'} & set(sys.modules)))"
    )
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", program], check=False, env=environ)
    assert done.returncode == 0
