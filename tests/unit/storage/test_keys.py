import pytest

from teamrun.errors import InvalidKey
from teamrun.storage.keys import MAX_KEY_BYTES, check_key

VALID = ["a", "a/b", "t/default/log/000001.json", "a..b", "a /b", "a.", "...", "a/...", ".a/b", "é"]

INVALID = ["", "/", "/a", "a/", "a//b", ".", "..", "a/.", "a/..", "../a", "a/./b", "a\n", "a\x7f/b"]


@pytest.mark.parametrize("key", [*VALID, "a" * MAX_KEY_BYTES])
def test_keys_that_every_store_takes(key: str) -> None:
    check_key(key)


@pytest.mark.parametrize("key", [*INVALID, "\ud800", "\x85", "a" * (MAX_KEY_BYTES + 1)])
def test_keys_that_no_store_takes(key: str) -> None:
    with pytest.raises(InvalidKey):
        check_key(key)
