import pytest

from teamrun.core.loopback import is_loopback
from teamrun.errors import UsageError
from teamrun_api.auth import Keyring
from teamrun_api.hosts import check_bind
from teamrun_api.settings import ApiKey

KEYS = Keyring([ApiKey(name="a", sha256="0" * 64, scopes=frozenset({"runs:read"}))])


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST", "api.localhost", "127.0.0.1", "127.8.9.1", "::1", "[::1]"]
)
def test_names_of_this_machine_are_loopback(host: str) -> None:
    assert is_loopback(host)
    check_bind(host, Keyring([]))


@pytest.mark.parametrize(
    "host",
    ["0.0.0.0", "::", "10.0.0.1", "example.org", "localhost.example.org", "127.0.0.1.nip.io", ""],
)
def test_other_names_are_not_and_cannot_be_bound_without_keys(host: str) -> None:
    assert not is_loopback(host)
    with pytest.raises(UsageError) as caught:
        check_bind(host, Keyring([]))
    assert caught.value.data == {"setting": "api_keys"}
    check_bind(host, KEYS)
