"""Store URLs that cannot be used: every one ends a process with status 2 and one clear sentence."""

import logging
from pathlib import Path

import pytest

from teamrun.errors import UsageError
from teamrun.storage.open import open_store
from teamrun_api.process import main

UNUSABLE = [
    "file:relative",
    "file:/absolute",
    "s3:bucket",
    "azure:container",
    "gs:bucket",
    "file:///a%00b",
    "file:///a%0Ab",
    "/a\nb",
    "file:///dev/null",
    "file:///dev/null/below",
    f"/tmp/{'x' * 300}",
    "s3://bucket?endpoint=nope",
    "s3://bucket?endpoint=",
    "s3://bucket?endpoint=http://",
    "s3://bucket?endpoint=http://host:99999",
    "s3://bucket?endpoint=http://host:0",
    "s3://bucket?endpoint=ftp://host",
    "s3://bucket?endpoint=http://[::1",
    "s3://bucket?endpoint=http://user:HUNTER2@host",
    "s3://bucket?endpoint=http://host%3Fkey=HUNTER2",
    "s3://bucket?endpoint=http://host%23HUNTER2",
    "s3://bucket?endpoint=http://h%20st",
    "s3://bucket?region=",
    "s3://bucket?region=eu%20central",
    "s3://bucket/a//b",
    "s3://bucket/../b",
    "s3://bucket/a%00b",
    "az://container",
    "az://container?account=",
    "az://container?account=a%20b",
    "az://container?account=x&endpoint=nope",
]

ENVIRONMENTS = [
    ("s3://bucket", {"AWS_ENDPOINT_URL": "nope"}),
    ("s3://bucket", {"AWS_ENDPOINT_URL_S3": "http://KEY:HUNTER2@host"}),
    ("s3://bucket", {"AWS_S3_EXPRESS": "perhaps"}),
    ("az://container?account=x", {"AZURE_STORAGE_ENDPOINT": "nope"}),
    ("az://container?account=x", {"AZURE_STORAGE_ENDPOINT": "http://KEY:HUNTER2@host"}),
    ("az://container?account=x", {"AZURE_STORAGE_ACCOUNT_KEY": "!"}),
]


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("AWS_ENDPOINT_URL", "AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("url", UNUSABLE)
def test_a_store_url_that_cannot_be_used_is_a_usage_error(url: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        open_store(url)

    assert caught.value.data["setting"] == "store"
    assert "HUNTER2" not in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("url", "environ"), ENVIRONMENTS)
def test_a_variable_that_cannot_be_used_is_a_usage_error(
    url: str, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(UsageError) as caught:
        open_store(url)

    assert caught.value.data["setting"] == "store"
    assert "HUNTER2" not in str(caught.value)


def _nothing(*, level: str, form: str) -> None:
    """In place of logging to stderr."""


@pytest.mark.parametrize("url", ["az://container", "file:///a%00b", "file:rel", "/dev/null/x"])
def test_the_api_ends_with_2(
    url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = tmp_path / "teamrun.yaml"
    config.write_text("models: {}\n", encoding="utf-8")
    monkeypatch.setenv("TEAMRUN_CONFIG", str(config))
    monkeypatch.setenv("TEAMRUN_STORE_URL", url)
    monkeypatch.setattr("teamrun_api.process.configure_logging", _nothing)

    with caplog.at_level(logging.ERROR):
        assert main([]) == 2

    assert [record.exc_info for record in caplog.records] == [None]


def test_a_folder_whose_name_looks_like_a_scheme_can_be_written_with_a_dot(tmp_path: Path) -> None:
    open_store("./my:folder")

    assert (tmp_path / "my:folder").is_dir()


def test_a_store_that_is_only_read_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        open_store(str(tmp_path / "absent"), make=False)

    assert caught.value.data["setting"] == "store"
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_is_only_read_is_not_changed(tmp_path: Path) -> None:
    open_store(str(tmp_path), make=False)

    assert list(tmp_path.iterdir()) == []
