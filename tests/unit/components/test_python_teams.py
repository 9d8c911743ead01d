"""Teams that the operator wrote in Python, and the functions that definitions name."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from teamrun.agents import AssistantAgent
from teamrun.components.building.teams import build_team
from teamrun.components.registry import Registry
from teamrun.components.team_file import load_registry
from teamrun.conditions import MaxMessageTermination, TerminationCondition
from teamrun.core.protocols import AnyMessage
from teamrun.errors import DefinitionError
from teamrun.messages import StopMessage
from teamrun.models import ChatCompletionClient
from teamrun.teams import BaseGroupChat, RoundRobinGroupChat
from teamrun.testing import ScriptedModel

CODE = """
from teamrun.agents import AssistantAgent
from teamrun.teams import RoundRobinGroupChat
from teamrun.testing import ScriptedModel

def make(model_client, most=1):
    return RoundRobinGroupChat([AssistantAgent("a", model_client)], max_turns=most)

team = RoundRobinGroupChat([AssistantAgent("b", ScriptedModel(["Yes", "No"]))], max_turns=2)
number = 1
"""


class Forgetful(TerminationCondition):
    """As AutoGen's are written: it has no state to save."""

    @property
    def terminated(self) -> bool:
        return False

    async def __call__(self, messages: Sequence[AnyMessage]) -> StopMessage | None:
        return None

    async def reset(self) -> None:
        pass


class Own(RoundRobinGroupChat):
    pass


def agent() -> AssistantAgent:
    return AssistantAgent("a", ScriptedModel(["x"]))


def failing() -> BaseGroupChat:
    raise RuntimeError("no paper")


async def late() -> BaseGroupChat:
    return RoundRobinGroupChat([agent()])


def takes_one(model_client: ChatCompletionClient) -> BaseGroupChat:
    return RoundRobinGroupChat([AssistantAgent("a", model_client)])


def forgetful() -> BaseGroupChat:
    condition = MaxMessageTermination(3) | Forgetful()
    return RoundRobinGroupChat([agent()], termination_condition=condition)


ROUND: dict[str, Any] = {
    "type": "round_robin_group_chat",
    "agents": [{"name": "a", "model": "m"}],
    "termination": {"type": "functional", "function": "f"},
}
REFUSED: dict[str, tuple[Any, dict[str, Any], str]] = {
    "it fails": (failing, {}, "no paper."),
    "it is async": (late, {}, "make the team in a function without 'async'"),
    "it returns something else": (lambda: 3, {}, "returned a int, not a team"),
    "it needs a model": (takes_one, {}, "model_client"),
    "a team of its own class": (lambda: Own([agent()]), {}, "Own is a custom class"),
    "a condition without state": (forgetful, {}, "Forgetful has no save_state and load_state"),
    "a condition of a definition": (Forgetful, ROUND, "Forgetful has no save_state"),
    "a class that is no condition": (dict, ROUND, "derived from TerminationCondition"),
}


@pytest.mark.parametrize(("function", "spec", "expected"), REFUSED.values(), ids=REFUSED)
def test_what_a_run_cannot_execute_is_refused_with_its_reason(
    function: Any, spec: dict[str, Any], expected: str
) -> None:
    registry = Registry.of(teams={}, models={"m": ScriptedModel([])}, functions={"f": function})
    resolved = registry.resolve(team_spec=spec or {"function": "f"})

    with pytest.raises(DefinitionError) as refused:
        build_team(resolved.definition, registry)

    assert expected in str(refused.value)
    assert "'f'" in str(refused.value)


def registry_of(folder: Path, content: dict[str, Any]) -> Registry:
    module = f"own_{abs(hash(str(folder)))}"
    (folder / f"{module}.py").write_text(CODE, encoding="utf-8")
    path = folder / "teamrun.yaml"
    models = {"m": {"type": "scripted", "script": ["One", "Two", "Three"]}}
    text = yaml.safe_dump({"models": models, **content}).replace("own:", f"{module}:")
    path.write_text(text, encoding="utf-8")
    return load_registry(path, environ={})


async def said(registry: Registry, name: str) -> list[str]:
    result = await build_team(registry.resolve(team=name).definition, registry).run(task="go")
    return [message.to_text() for message in result.messages]


async def test_a_team_of_the_file_is_made_anew_with_its_options(tmp_path: Path) -> None:
    team = {"function": "own:make", "model": "m", "options": {"most": 2}}
    registry = registry_of(tmp_path, {"teams": {"t": team, "two": {"function": "own:team"}}})

    registry.preload()

    assert await said(registry, "t") == ["go", "One", "Two"]
    assert await said(registry, "two") == ["go", "Yes", "No"]
    resolved = registry.resolve(team="t")
    assert (resolved.functions.keys(), resolved.models.keys()) == ({"t"}, {"m"})
    assert registry.resolve(team_spec={"function": "t", "name": "t", "model": "m"}) == (
        resolved._replace(definition=resolved.definition)
    )


async def test_a_copy_of_a_registered_team_does_not_see_other_runs(tmp_path: Path) -> None:
    registry = registry_of(tmp_path, {"teams": {"two": {"function": "own:team"}}})
    definition = registry.resolve(team="two").definition

    first = build_team(definition, registry)
    await first.run(task="first")

    assert "first" not in str(await build_team(definition, registry).save_state())


FAULTS: dict[str, tuple[dict[str, Any], str, str]] = {
    "no function": ({"functions": {"f": {}}}, "/functions/f/function", "package.module:name"),
    "no object": ({"functions": {"f": "own:make"}}, "/functions/f", "must be an object"),
    "options": (
        {"functions": {"f": {"function": "own:make", "options": 1}}},
        "/functions/f/options",
        "must be an object",
    ),
    "a name for two": (
        {"functions": {"t": {"function": "own:make"}}, "teams": {"t": {"function": "own:make"}}},
        "/teams/t",
        "There is a function 't' already",
    ),
    "a name that is not there": (
        {"teams": {"t": {"function": "own"}}},
        "/teams/t/function",
        "There is no function 'own'",
    ),
    "a condition": (
        {"teams": {"t": {"function": "own:make", "termination": "external"}}},
        "/teams/t/termination",
        "custom_team has no field 'termination'",
    ),
}


@pytest.mark.parametrize(("content", "where", "expected"), FAULTS.values(), ids=FAULTS)
def test_a_fault_of_the_file_is_reported_at_its_place(
    content: dict[str, Any], where: str, expected: str, tmp_path: Path
) -> None:
    with pytest.raises(DefinitionError) as refused:
        registry_of(tmp_path, content)

    problems = {each["pointer"]: each["detail"] for each in refused.value.data["problems"]}
    assert expected in problems[where]


@pytest.mark.parametrize(
    ("target", "options", "expected"),
    [
        ("own:absent", None, "names 'absent', which is not there"),
        ("own:number", None, "is of type int; it must be a function, a class or a team"),
        ("own:team", {"most": 1}, "is a team, which takes no 'options'"),
    ],
)
def test_code_that_cannot_be_used_is_found_at_the_start(
    target: str, options: dict[str, Any] | None, expected: str, tmp_path: Path
) -> None:
    entry = {"function": target, **({"options": options} if options else {})}
    registry = registry_of(tmp_path, {"teams": {"t": entry}})

    with pytest.raises(DefinitionError, match=expected) as refused:
        registry.preload()

    assert refused.value.pointer == "/teams/t/function"
