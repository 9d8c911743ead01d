"""Bedrock in definitions: component JSON of AutoGen's client, and what a request cannot choose."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from teamrun.components.registry import Registry
from teamrun.components.team_file import load_registry
from teamrun.errors import DefinitionError
from teamrun.models import BedrockChatCompletionClient

CLAUDE = "anthropic.claude-3-5-sonnet-20240620-v1:0"
MASKED = "**********"
INFO = {
    "aws_access_key": MASKED,
    "aws_secret_key": MASKED,
    "aws_session_token": "",
    "aws_region": "eu-west-1",
}
CLIENT = "/team_spec/participants/0/config/model_client/config"


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    profile = {"type": "bedrock", "model": CLAUDE, "region": "us-east-1"}
    file = tmp_path / "teamrun.yaml"
    file.write_text(yaml.safe_dump({"models": {"main": profile}}), encoding="utf-8")
    return load_registry(file, environ={})


def team(**config: Any) -> dict[str, Any]:
    client = {
        "provider": "autogen_ext.models.anthropic.AnthropicBedrockChatCompletionClient",
        "component_type": "model",
        "version": 1,
        "config": {"model": CLAUDE, **config},
    }
    agent = {
        "provider": "autogen_agentchat.agents.AssistantAgent",
        "component_type": "agent",
        "version": 1,
        "config": {"name": "a", "model_client": client},
    }
    return {"type": "round_robin_group_chat", "participants": [agent]}


def test_autogens_client_is_replaced_by_the_profile_for_the_model(registry: Registry) -> None:
    validation = registry.validate(team_spec=team(bedrock_info=INFO, max_tokens=5))
    assert validation.valid, validation.errors
    assert [note.pointer for note in validation.warnings] == [
        f"{CLIENT}/bedrock_info",
        f"{CLIENT}/max_tokens",
    ]
    resolved = registry.resolve(team_spec=team(bedrock_info=INFO))
    assert resolved.definition.model_dump()["participants"][0]["model"] == "main"
    client = registry.model_client("main")
    assert client.model_info["family"] == "claude"


@pytest.mark.parametrize("name", ["aws_access_key", "aws_secret_key", "aws_session_token"])
def test_credentials_in_it_are_ignored_with_a_warning(registry: Registry, name: str) -> None:
    spec = team(bedrock_info={**INFO, name: "AKIAOFATENANT"})
    checked = registry.validate(team_spec=spec)
    assert [note.pointer for note in checked.warnings] == [f"{CLIENT}/bedrock_info"]
    assert "AKIAOFATENANT" not in checked.model_dump_json()
    assert "AKIAOFATENANT" not in registry.resolve(team_spec=spec).definition.model_dump_json()


@pytest.mark.parametrize("name", ["region", "profile", "endpoint", "base_url", "guardrail_id"])
def test_a_request_chooses_neither_place_nor_guardrail(registry: Registry, name: str) -> None:
    agent = {"name": "a", "model": "main", name: "x"}
    spec = {"type": "round_robin_group_chat", "agents": [agent]}
    with pytest.raises(DefinitionError) as raised:
        registry.resolve(team_spec=spec)
    assert (raised.value.code, raised.value.pointer) == (
        "unknown_field",
        f"/team_spec/agents/0/{name}",
    )


@pytest.mark.parametrize(
    ("options", "place"),
    [
        ({"model": ""}, "model"),
        ({"temprature": 1}, "temprature"),
        ({"api_key": "k"}, "api_key"),
        ({"base_url": "bedrock.example"}, "base_url"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"latency": "fast"}, "latency"),
        ({"guardrail_trace": "yes"}, "guardrail_trace"),
        ({"request_metadata": {"a": 1}}, "request_metadata/a"),
    ],
)
def test_a_wrong_option_of_a_profile_is_named(
    tmp_path: Path, options: dict[str, Any], place: str
) -> None:
    file = tmp_path / "teamrun.yaml"
    profile = {"type": "bedrock", "model": CLAUDE, **options}
    file.write_text(yaml.safe_dump({"models": {"main": profile}}), encoding="utf-8")
    with pytest.raises(DefinitionError) as raised:
        load_registry(file, environ={})
    assert raised.value.data["problems"][0]["pointer"] == f"/models/main/{place}"


def test_a_guardrail_needs_its_version(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="guardrail_version"):
        file = tmp_path / "teamrun.yaml"
        profile = {"type": "bedrock", "model": CLAUDE, "guardrail_id": "abc"}
        file.write_text(yaml.safe_dump({"models": {"main": profile}}), encoding="utf-8")
        load_registry(file, environ={}).model_client("main")


def test_an_agent_of_the_file_may_name_the_model_itself(tmp_path: Path) -> None:
    agent = {"model": "bedrock:us.amazon.nova-lite-v1:0"}
    team = {"type": "round_robin_group_chat", "agents": ["a"], "max_turns": 1}
    file = tmp_path / "teamrun.yaml"
    content = {"agents": {"a": agent}, "teams": {"t": team}}
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    client = load_registry(file, environ={}).model_client("bedrock:us.amazon.nova-lite-v1:0")
    assert client.model_info["family"] == "nova"


def test_the_names_of_descriptions_work(monkeypatch: pytest.MonkeyPatch) -> None:
    named = BedrockChatCompletionClient(model_id=CLAUDE, region="us-east-1")
    monkeypatch.setenv("BEDROCK_MODEL_ID", CLAUDE)
    assert BedrockChatCompletionClient().model_info == named.model_info
