"""Store URLs: one reader, every form, and no secret in its errors."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teamrun.errors import UsageError
from teamrun.storage.address import read_store_url, store_namespace

NAMES = ("runs", "a b", "a#b", "a?b", "a%b", "ä", "~x")


@pytest.mark.parametrize("name", NAMES)
def test_a_path_and_its_url_name_the_same_folder(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name

    assert read_store_url(str(folder)).folder == folder
    assert read_store_url(folder.as_uri()).folder == folder
    assert store_namespace(str(folder)) == store_namespace(folder.as_uri())


@pytest.mark.parametrize("url", ["~/runs", "file://~/runs"])
def test_a_tilde_is_the_home_folder(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")

    assert read_store_url(url).folder == Path("/home/ann/runs")


@pytest.mark.parametrize(
    "url",
    [
        "file:///data#1",
        "file:///data?x",
        "file://host/data",
        "file://",
        "s3://",
        "s3:///prefix",
        "s3://KEY:HUNTER2@bucket/prefix",
        "s3://KEY:HUN/TER2@bucket/prefix",
        "az://account:HUNTER2@container",
        "s3://bucket?secret_access_key=HUNTER2",
        "s3://bucket?HUNTER2",
        "s3://bucket/a#HUNTER2",
        "s3://bucket?region=a&region=b",
        "s3://bucket?endpoint=http://KEY:HUNTER2@host",
        "s3://[HUNTER2",
        "ftp://HUNTER2/y",
        "",
    ],
)
def test_an_invalid_store_url_is_refused_without_repeating_secrets(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_store_url(url)

    assert caught.value.data["setting"] == "store"
    assert "HUNTER2" not in str(caught.value)
    assert "TER2" not in str(caught.value)


@given(secret=st.text(st.sampled_from("#/?@[]:%&=+x"), min_size=0, max_size=12))
def test_credentials_of_any_shape_are_repeated_by_no_message(secret: str) -> None:
    try:
        address = read_store_url(f"s3://AKIAKEY:HUN{secret}TER2@bucket/prefix")
    except UsageError as error:
        assert not {part for part in ("HUN", "TER2", "AKIAKEY") if part in str(error)}
    else:
        raise AssertionError(f"taken: {address.kind}")


def test_spellings_of_one_bucket_share_a_namespace_and_other_stores_do_not() -> None:
    same = [
        "s3://b/p",
        "s3://b/p/",
        "s3://b/p?region=eu-central-1",
    ]
    other = ["s3://b/q", "s3://c/p", "az://b/p", "s3://b/p?endpoint=http://h:1", "memory://"]

    assert len({store_namespace(url) for url in same}) == 1
    assert len({store_namespace(url) for url in [same[0], *other]}) == len(other) + 1
