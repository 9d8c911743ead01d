"""A model for all agents of a request, for definitions whose own models have no profile."""

from typing import Any

import pytest

from teamrun.components.definitions.names import models_of
from teamrun.components.registry import Registry
from teamrun.errors import DefinitionError
from teamrun.testing import ScriptedModel

CLIENTS = "autogen_ext.models"
CHAT = "autogen_agentchat"


def registry() -> Registry:
    clients = {name: ScriptedModel(["hi"]) for name in ("mini", "maxi")}
    return Registry.of(teams={}, models=clients)


def component(provider: str, **config: Any) -> dict[str, Any]:
    return {"provider": provider, "component_type": "any", "version": 1, "config": config}


def exported(*clients: dict[str, Any]) -> dict[str, Any]:
    """A selector as AutoGen exports it; the last client is the selector's own."""
    agents = [
        component(f"{CHAT}.agents.AssistantAgent", name=f"a{index}", model_client=client)
        for index, client in enumerate(clients)
    ]
    return component(
        f"{CHAT}.teams.SelectorGroupChat",
        participants=agents,
        model_client=clients[-1],
        termination_condition=component(f"{CHAT}.conditions.MaxMessageTermination", max_messages=3),
    )


GPT = component(f"{CLIENTS}.openai.OpenAIChatCompletionClient", model="gpt-99")
FOREIGN = component(f"{CLIENTS}.elsewhere.OtherClient", model="other")
REPLAY = component(f"{CLIENTS}.replay.ReplayChatCompletionClient", chat_completions=["x"])
WRITTEN = {
    "type": "selector_group_chat",
    "model": "gone",
    "agents": [
        {"name": "a", "model": "gpt-99"},
        {"name": "b", "model": "mini", "tools": [{"agent": {"name": "c", "model": "gone"}}]},
    ],
    "termination": {"type": "max_messages", "max_messages": 3},
}


@pytest.mark.parametrize("spec", [exported(GPT, GPT), exported(FOREIGN, REPLAY), WRITTEN])
def test_an_override_stands_for_models_that_have_no_profile(spec: dict[str, Any]) -> None:
    with pytest.raises(DefinitionError):
        registry().resolve(team_spec=spec)

    resolved = registry().resolve(team_spec=spec, model="maxi")

    assert models_of(resolved.definition) == {"maxi"}
    assert set(resolved.models) == {"maxi"}


def test_a_definition_whose_models_exist_is_pinned_as_it_is() -> None:
    spec = {**WRITTEN, "model": "mini", "agents": [{"name": "a", "model": "maxi"}] * 1}
    spec = {**spec, "agents": [*spec["agents"], {"name": "b", "model": "mini"}]}

    assert registry().resolve(team_spec=spec, model="maxi") == registry().resolve(team_spec=spec)


def test_other_faults_are_still_faults() -> None:
    spec = exported(GPT, GPT)
    spec["config"]["participants"][0]["config"]["tools"] = ["nothing"]

    with pytest.raises(DefinitionError) as caught:
        registry().resolve(team_spec=spec, model="maxi")

    assert [fault["code"] for fault in caught.value.data["problems"]] == ["unknown_tool"]


def test_an_override_without_a_profile_is_a_fault_beside_the_others() -> None:
    with pytest.raises(DefinitionError) as caught:
        registry().resolve(team_spec=WRITTEN, model="man")

    faults = {(f["code"], f["pointer"]) for f in caught.value.data["problems"]}
    assert ("unknown_model", "/overrides/model") in faults
    assert ("unknown_model", "/team_spec/agents/0/model") in faults
