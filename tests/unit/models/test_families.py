"""Capabilities of models by their names."""

import pytest

from teamrun.errors import UsageError
from teamrun.models.families import (
    ModelFamily,
    context_window,
    is_reasoning,
    model_info_for,
    validated,
)


@pytest.mark.behaviour("model.info.gemini")
def test_gemini_takes_one_system_message() -> None:
    info = model_info_for("gemini-2.5-pro", own_server=False)
    assert info.get("multiple_system_messages") is False


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("gpt-4o-mini-2024-07-18", "gpt-4o"),
        ("gpt-4.1-nano", "gpt-41"),
        ("gpt-4-0613", "gpt-4"),
        ("gpt-3.5-turbo", "gpt-35"),
        ("gpt-5.4-mini", "gpt-5"),
        ("gpt-6-sol", "gpt-6"),
        ("o4-mini", "o4"),
        ("ft:gpt-4o-mini-2024-07-18:acme::1", "gpt-4o"),
        ("deepseek-ai/DeepSeek-R1", "r1"),
    ],
)
def test_a_model_is_known_by_the_beginning_of_its_name(model: str, family: str) -> None:
    assert model_info_for(model, own_server=False)["family"] == family


def test_the_longest_beginning_counts() -> None:
    assert model_info_for("gpt-4", own_server=False)["vision"] is False
    assert model_info_for("gpt-4-turbo", own_server=False)["vision"] is True
    assert model_info_for("o3", own_server=False)["vision"] is True
    assert model_info_for("o3-mini", own_server=False)["vision"] is False
    assert (context_window("gpt-4"), context_window("gpt-4o")) == (8_192, 128_000)


@pytest.mark.behaviour("model.info.unknown")
def test_an_unknown_model_needs_model_info() -> None:
    with pytest.raises(UsageError) as raised:
        model_info_for("gpt4o", own_server=False)
    assert raised.value.data == {"model": "gpt4o", "similar": "gpt-4o"}


@pytest.mark.behaviour("model.info.own_server")
def test_an_unknown_model_on_a_server_of_ones_own_may_do_everything() -> None:
    info = model_info_for("qwen3:8b", own_server=True)
    assert info["family"] == ModelFamily.UNKNOWN
    assert info["function_calling"] and info["vision"] and info["structured_output"]


@pytest.mark.behaviour("model.info")
def test_own_model_info_must_be_whole() -> None:
    with pytest.raises(UsageError) as raised:
        validated({"function_calling": True, "json_output": True})
    assert raised.value.data == {"missing": ["vision", "family"]}
    with pytest.warns(UserWarning):
        info = validated(
            {"vision": True, "function_calling": True, "json_output": True, "family": "x"}
        )
    assert info["structured_output"] is False


@pytest.mark.behaviour("model.families")
def test_families_know_whether_they_are_openais_and_whether_they_reason() -> None:
    assert ModelFamily.is_openai(ModelFamily.O3)
    assert not ModelFamily.is_openai(ModelFamily.CLAUDE)
    assert is_reasoning("gpt-5-mini") and not is_reasoning("gpt-4o") and not is_reasoning("?")
