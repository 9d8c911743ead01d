import hashlib
import json
from typing import Any

import pytest

from teamrun.errors import UsageError
from teamrun.settings import load_settings
from teamrun_api.settings import ApiKey, ApiSettings

DIGEST = hashlib.sha256(b"secret").hexdigest()
KEYS_VARIABLE = "TEAMRUN_API_KEYS"


def with_keys(monkeypatch: pytest.MonkeyPatch, *keys: dict[str, Any]) -> ApiSettings:
    monkeypatch.setenv("TEAMRUN_API_KEYS", json.dumps(keys))
    return load_settings(ApiSettings)


def test_keys_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    key = {"name": "ci", "sha256": DIGEST.upper(), "scopes": ["runs:read", "runs:write"]}

    settings = with_keys(monkeypatch, key)

    scopes = frozenset({"runs:read", "runs:write"})
    assert settings.api_keys == (
        ApiKey.model_construct(name="ci", sha256=DIGEST, scopes=scopes, tenant="default"),
    )
    assert DIGEST not in repr(settings)


def test_without_variables_the_server_is_local_and_has_no_keys() -> None:
    settings = load_settings(ApiSettings)
    assert (settings.host, settings.port, settings.api_keys) == ("127.0.0.1", 8080, ())


BAD_KEYS: dict[str, Any] = {
    "a key in place of its digest": {"name": "a", "sha256": "secret", "scopes": ["runs:read"]},
    "an unknown scope": {"name": "a", "sha256": DIGEST, "scopes": ["runs:all"]},
    "no scope": {"name": "a", "sha256": DIGEST, "scopes": []},
    "a tenant with a dot": {
        "name": "a",
        "sha256": DIGEST,
        "scopes": ["runs:read"],
        "tenant": "a.b",
    },
    "an unknown field": {"name": "a", "sha256": DIGEST, "scopes": ["runs:read"], "key": "secret"},
}


@pytest.mark.parametrize("key", BAD_KEYS.values(), ids=BAD_KEYS.keys())
def test_an_invalid_key_is_refused_without_showing_it(
    monkeypatch: pytest.MonkeyPatch, key: dict[str, Any]
) -> None:
    with pytest.raises(UsageError) as caught:
        with_keys(monkeypatch, key)
    assert {name.partition(".")[0] for name in caught.value.data["settings"]} == {KEYS_VARIABLE}
    assert "secret" not in str(caught.value)
    assert DIGEST not in str(caught.value)


def test_keys_that_are_no_json_are_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEAMRUN_API_KEYS", "secret")
    with pytest.raises(UsageError) as caught:
        load_settings(ApiSettings)
    assert caught.value.data == {"settings": [KEYS_VARIABLE]}
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("same", ["name", "sha256"])
def test_two_keys_may_not_share_a_name_or_a_digest(
    monkeypatch: pytest.MonkeyPatch, same: str
) -> None:
    one = {"name": "a", "sha256": DIGEST, "scopes": ["runs:read"]}
    two = {"name": "b", "sha256": DIGEST[::-1], "scopes": ["runs:read"]} | {same: one[same]}
    with pytest.raises(UsageError) as raised:
        with_keys(monkeypatch, one, two)
    assert raised.value.data["settings"] == ["TEAMRUN_"]
