"""`ConfigLoader`: the parts of a team file as objects."""

from pathlib import Path
from textwrap import dedent

import pytest

from teamrun import ConfigLoader
from teamrun.agents import AssistantAgent
from teamrun.errors import DefinitionError, UsageError
from teamrun.teams import RoundRobinGroupChat, SelectorGroupChat
from teamrun.testing import ScriptedModel

FILE = """
models:
  - {type: scripted, name: main, script: [One, Two]}
tools:
  size: {function: "MODULE:size", description: Counts.}
agents:
  writer: {model: main, system_message: "For ${COMPANY}", role: writer}
  the-editor: {name: editor, model: main}
teams:
  desk:
    type: round_robin_group_chat
    agents: [writer, the-editor]
    max_rounds: 2
  choice:
    type: selector_group_chat
    model_for_selection: main
    agents: [desk, writer]
    max_rounds: 1
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    module = f"config_{tmp_path.name}"
    path.write_text(dedent(FILE).replace("MODULE", module), encoding="utf-8")
    code = "def size(text: str) -> int:\n    return len(text)\n"
    path.with_name(f"{module}.py").write_text(code, encoding="utf-8")
    return path


@pytest.mark.behaviour("config.teams", "config.loader")
async def test_models_agents_and_teams_are_made_one_by_one(path: Path) -> None:
    config = ConfigLoader.load(path, environ={"COMPANY": "Acme"})

    client = config.models["main"].create_client()
    agents = {key: each.create_agent(client) for key, each in config.agents.items()}
    team = config.teams["desk"].create_team(agents, client)
    result = await team.run("Go")

    assert isinstance(team, RoundRobinGroupChat)
    assert config.models["main"].create_client() is client
    assert (list(agents), config.agents["the-editor"].name) == (["writer", "the-editor"], "editor")
    assert [message.source for message in result.messages] == ["user", "writer", "editor"]
    assert list(team.participants) == list(agents.values())
    assert list(config.tools) == ["size"]
    assert config.tools["size"].description == "Counts."
    await config.close()


@pytest.mark.behaviour("config.loader")
async def test_another_client_answers_for_an_agent_and_for_a_selector(path: Path) -> None:
    config = ConfigLoader.load(path, environ={"COMPANY": "Acme"})
    model = ScriptedModel({"writer": ["Mine"], "selector": ["writer"]}, record=True)

    writer = config.agents["writer"].create_agent(model)
    editor = config.agents["the-editor"].create_agent()
    team = config.teams["choice"].create_team([editor, writer], model)
    result = await team.run("Go")

    assert isinstance(writer, AssistantAgent)
    assert isinstance(team, SelectorGroupChat)
    assert "Mine" in str(result.messages[-1])
    assert "For Acme" in str(model.calls[-1].messages[0])


async def test_a_team_without_given_agents_makes_its_own(path: Path) -> None:
    config = ConfigLoader.load(path, environ={"COMPANY": "Acme"})

    result = await config.teams["desk"].create_team().run("Go")

    assert [message.source for message in result.messages] == ["user", "writer", "editor"]


def test_an_agent_that_is_missing_is_named(path: Path) -> None:
    config = ConfigLoader.load(path, environ={"COMPANY": "Acme"})
    writer = config.agents["writer"].create_agent()

    with pytest.raises(
        UsageError, match=r"'desk' needs the agent 'editor'.*has 'writer'"
    ) as refused:
        config.teams["choice"].create_team([writer])
    assert refused.value.data == {"agent": "editor"}


def test_the_environment_is_that_of_the_process(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DefinitionError, match="COMPANY"):
        ConfigLoader.load(path)

    monkeypatch.setenv("COMPANY", "Acme")
    assert set(ConfigLoader.load(str(path)).teams) == {"desk", "choice"}
