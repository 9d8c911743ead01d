"""Model profiles: their selection, options and digests."""

from datetime import timedelta
from typing import Any

import pytest

from teamrun.components.building.models import Profiles
from teamrun.components.definitions.profiles import Profile
from teamrun.errors import DefinitionError
from teamrun.models.base import ChatCompletionClient
from teamrun.models.fallback import FallbackModel
from teamrun.models.providers import PLANNED, PROVIDERS, option_names
from teamrun.testing import ScriptedModel

MAIN = Profile("main", "openai", {"model": "gpt-4o", "api_key": "${KEY}"}, ("local",))
LOCAL = Profile("local", "openai", {"model": "llama", "base_url": "${URL}"}, ("words",))
WORDS = Profile("words", "scripted", {"script": ["costs ${KEY}"], "latency_ms": 20})
ALL = {profile.name: profile for profile in (MAIN, LOCAL, WORDS)}


@pytest.mark.parametrize(
    ("environ", "active"),
    [
        ({"KEY": "k"}, "main"),
        ({"KEY": "k", "URL": "http://127.0.0.1"}, "main"),
        ({"URL": "http://127.0.0.1"}, "local"),
        ({"KEY": "", "URL": "http://127.0.0.1"}, "local"),
        ({}, "words"),
    ],
)
def test_a_profile_falls_back_where_a_variable_is_missing(
    environ: dict[str, str], active: str
) -> None:
    found = Profiles(ALL, environ=environ).active("main")

    assert found is not None and (found.profile.name, found.missing) == (active, None)


def test_a_profile_without_fallback_names_the_variable_when_it_is_used() -> None:
    profiles = Profiles(
        {"main": Profile("main", "openai", MAIN.options, where="/models/main")}, environ={}
    )

    with pytest.raises(DefinitionError) as caught:
        profiles.client("main")

    assert (caught.value.code, caught.value.pointer) == ("model_not_ready", "/models/main")
    assert "KEY" in caught.value.message


def test_an_unknown_profile_is_an_error() -> None:
    with pytest.raises(DefinitionError) as caught:
        Profiles({}, environ={}).client("main")

    assert caught.value.code == "unknown_model"


def test_profiles_that_fall_back_to_one_share_its_client() -> None:
    profiles = Profiles(ALL, environ={})

    client = profiles.client("main")

    assert isinstance(client, ScriptedModel)
    assert profiles.client("local") is client
    assert profiles.client("words") is client


def test_options_are_expanded_and_typed() -> None:
    options = {
        "model": "${M:-gpt-4o}",
        "api_key": "${KEY}",
        "temperature": "${T:-0.5}",
        "base_url": "${URL:-}",
        "max_tokens": "100",
    }

    arguments = Profile("main", "openai", options).arguments({"KEY": "k", "T": "0.2"})

    assert arguments == {
        "model": "gpt-4o",
        "api_key": "k",
        "base_url": "https://api.openai.com/v1",
        "temperature": 0.2,
        "max_tokens": 100,
    }


def test_each_fallback_is_followed_by_its_own() -> None:
    def profile(name: str, *fallback: str) -> Profile:
        return Profile(name, "openai", {"model": name, "api_key": f"${{{name}}}"}, fallback)

    given = [profile("a", "b", "c"), profile("b", "d"), profile("c"), profile("d", "c")]
    profiles = {each.name: each for each in given}

    for environ, active, unset in (
        ({"c": "k"}, "c", "a"),
        ({"c": "k", "d": "k"}, "d", "a"),
        ({"a": "k"}, "a", None),
    ):
        found = Profiles(profiles, environ=environ).active("a")
        assert found is not None
        assert (found.profile.name, found.missing, found.unset) == (active, None, unset)


def test_profiles_with_the_same_fallbacks_share_one_client() -> None:
    profiles = Profiles(ALL, environ={"KEY": "k", "URL": "http://127.0.0.1:1"})

    client = profiles.client("main")

    assert isinstance(client, FallbackModel)
    assert profiles.client("main") is client
    assert not isinstance(profiles.client("local"), FallbackModel), "a script is no substitute"


def test_a_script_is_used_unchanged() -> None:
    assert WORDS.arguments({"KEY": "secret"}) == {
        "script": ["costs ${KEY}"],
        "latency": timedelta(milliseconds=20),
    }


def test_an_option_that_is_invalid_when_expanded_is_an_error_without_its_value() -> None:
    options = {"model": "x", "api_key": "k", "temperature": "${T}"}
    hot = Profile("main", "openai", options, where="/models/main")

    with pytest.raises(DefinitionError) as caught:
        Profiles({"main": hot}, environ={"T": "canary"}).client("main")

    assert caught.value.pointer == "/models/main/temperature"
    assert "canary" not in str(caught.value.as_json())


def test_the_digest_is_the_same_in_every_environment_and_for_every_key() -> None:
    def digest(profile: Profile, **environ: str) -> str:
        return Profiles(ALL | {"main": profile}, environ=environ).digest("main")

    written = Profile("main", "openai", {"model": "gpt-4o", "api_key": "sk-1"}, ("local",))
    other = Profile("main", "openai", {"model": "gpt-4o-mini", "api_key": "${KEY}"}, ("local",))

    assert digest(MAIN) == digest(MAIN, KEY="k") == digest(written)
    assert digest(other) != digest(MAIN)
    assert digest(Profile("main", "openai", MAIN.options)) != digest(MAIN)


def test_a_model_is_found_by_the_name_of_its_profile_or_of_its_provider() -> None:
    profiles = Profiles(ALL, environ={"KEY": "k"})

    assert profiles.for_model("words") == "words"
    assert profiles.for_model("gpt-4o") == "main"
    assert profiles.for_model("gpt-9") is None


async def test_closing_closes_created_parts_and_no_given_ones() -> None:
    closed: list[str] = []

    class Closing(ScriptedModel):
        async def close(self) -> None:
            closed.append("given")

    given: dict[str, ChatCompletionClient] = {"given": Closing([])}
    profiles = Profiles({"words": WORDS}, environ={}, clients=given)
    first = profiles.client("words")

    await profiles.close()

    assert closed == []
    assert profiles.client("given") is given["given"]
    assert profiles.client("words") is not first


def test_every_type_of_profile_and_each_of_its_options_is_known_to_the_clients() -> None:
    renamed: dict[str, Any] = {"latency_ms": "latency"}

    for kind, row in PROVIDERS.items():
        names = {renamed.get(name, name) for name in row.options.model_fields}
        assert names <= set(option_names(kind)), kind
        assert set(row.options.aliases.values()) <= row.options.model_fields.keys(), kind
        assert row.options.secret | row.options.verbatim <= row.options.model_fields.keys(), kind
        assert set(row.needs) <= names, kind


def test_no_provider_is_both_available_and_planned_and_no_client_of_autogen_has_two() -> None:
    rows = [*PROVIDERS.values(), *PLANNED.values()]
    paths = [path for row in rows for path in row.autogen]

    assert not PROVIDERS.keys() & PLANNED.keys()
    assert len(paths) == len(set(paths))
