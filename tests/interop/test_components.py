"""Components are exchanged with AutoGen 0.7.5, which runs in an environment of its own."""

import asyncio
import json
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, cast

import pytest
from pydantic import BaseModel
from tests.support.own_environment import own_environment
from tests.unit.component.agent_examples import EXAMPLES
from tests.unit.component.examples import INFO, Example

from teamrun.agents import AssistantAgent
from teamrun.code import LocalCommandLineCodeExecutor
from teamrun.conditions import MaxMessageTermination, TextMentionTermination
from teamrun.core import ComponentLoader, TaskResult
from teamrun.models.providers import make_client
from teamrun.teams import (
    BaseGroupChat,
    DiGraphBuilder,
    GraphFlow,
    MagenticOneGroupChat,
    RoundRobinGroupChat,
    SelectorGroupChat,
    Swarm,
)
from teamrun.testing import ScriptedModel
from teamrun.tools import FunctionTool

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(600),
    pytest.mark.filterwarnings("ignore:No approval function"),
]

Json = dict[str, Any]

_OURS_ALONE = "teamrun."
KEY = "sk-of-the-program"


class Answer(BaseModel):
    figure: int


def look_up(word: str) -> str:
    return f"{word} is a drink"


def model(*answers: Any) -> ScriptedModel:
    return ScriptedModel(list(answers), model_info=INFO)  # pyright: ignore[reportArgumentType] - as data


def call(name: str, **arguments: str) -> Json:
    return {"tool_calls": [{"name": name, "arguments": arguments}]}


def tool_team() -> BaseGroupChat:
    writer = AssistantAgent(
        "writer",
        model(call("look_up", word="tea"), "Tea is a drink."),
        tools=[FunctionTool(look_up, "Look a word up.")],
        max_tool_iterations=2,
    )
    return RoundRobinGroupChat(
        [writer, AssistantAgent("critic", model("APPROVE"))],
        termination_condition=TextMentionTermination("APPROVE") | MaxMessageTermination(9),
    )


def selected_team() -> BaseGroupChat:
    return SelectorGroupChat(
        [AssistantAgent("a", model("from a")), AssistantAgent("b", model("from b", "END"))],
        model("b", "a", "b"),
        allow_repeated_speaker=True,
        termination_condition=TextMentionTermination("END"),
    )


def swarm() -> BaseGroupChat:
    return Swarm(
        [
            AssistantAgent("a", model(call("transfer_to_b")), handoffs=["b"]),
            AssistantAgent("b", model("END")),
        ],
        termination_condition=TextMentionTermination("END"),
    )


def flow() -> BaseGroupChat:
    a, b, c = (AssistantAgent(name, model(f"from {name}")) for name in "abc")
    graph = DiGraphBuilder().add_node(a).add_node(b).add_node(c)
    graph.add_edge(a, b, "from").add_edge(a, c, "never")
    return GraphFlow([a, b, c], graph.build())


def magentic() -> BaseGroupChat:
    answers = {
        "is_request_satisfied": [False, False, True],
        "is_in_loop": [False, True, False],
        "is_progress_being_made": [True, True, True],
        "next_speaker": ["a", "b", "a"],
        "instruction_or_question": ["Speak.", "You, too.", ""],
    }
    ledgers = [
        json.dumps({k: {"reason": "so it is", "answer": v[n]} for k, v in answers.items()})
        for n in range(3)
    ]
    return MagenticOneGroupChat(
        [AssistantAgent("a", model("from a")), AssistantAgent("b", model("from b"))],
        model("facts", "plan", *ledgers, "Both have spoken."),
        max_turns=None,
    )


TEAMS: dict[str, Callable[[], BaseGroupChat]] = {
    "our tools": tool_team,
    "our selector": selected_team,
    "our swarm": swarm,
    "our graph": flow,
    "our magentic": magentic,
}
OURS = {
    *("termination", "undecided", "run", "under_way", "shown", "is_over", "chosen"),
    *("active_nodes", "unheard", "is_planned", "next_speaker", "answered", "wrapped_agent"),
}
"""Fields of states that AutoGen does not have."""
SHARED = [each for each in EXAMPLES if not each.written["provider"].startswith(_OURS_ALONE)]
THEIR_TEAMS = (
    *("tools", "summary", "reflection", "handoff", "selector", "nested", "swarm", "graph"),
    "society",
    *("magentic", "magentic, limit", "magentic, stopped"),
)


def as_json(made: Any) -> Json:
    return json.loads(made.dump_component().model_dump_json(exclude_none=True))


def shown(result: TaskResult) -> Json:
    messages = [[type(m).__name__, m.source, m.to_text()] for m in result.messages]
    return {"messages": messages, "stop_reason": result.stop_reason}


def content(state: Any) -> Any:
    """A state without what is ours alone, and without what differs from run to run."""
    if isinstance(state, list):
        return [content(each) for each in cast("list[Any]", state)]
    if not isinstance(state, dict):
        return state
    left_out = {*OURS, "version", "id", "created_at", "models_usage", "metadata"}
    fields = {k: content(v) for k, v in cast("Json", state).items() if k not in left_out}
    if fields.get("type") == "SocietyOfMindAgentState":  # AutoGen loses the messages to it
        fields.pop("llm_context", None)
    if "remaining" in fields:  # AutoGen leaves it out in the state of a graph
        fields.pop("type", None)
    return fields


async def done(team: BaseGroupChat) -> tuple[TaskResult, Json]:
    result = await team.run(task="go")
    return result, dict(await team.save_state())


@cache
def exchanged() -> Json:
    """What AutoGen made of our components, and its own ones, in one process."""
    python = own_environment("interop") / "bin" / "python"
    components = {each.name: as_json(each.make()) for each in SHARED}
    components |= {name: as_json(make()) for name, make in TEAMS.items()}
    states = {name: asyncio.run(done(make()))[1] for name, make in TEAMS.items()}
    there = subprocess.run(
        [python, Path(__file__).with_name("autogen_side.py")],
        input=json.dumps({"components": components, "states": states}),
        capture_output=True,
        encoding="utf-8",
        timeout=100,
        check=False,
    )
    assert there.returncode == 0, there.stderr
    return {**json.loads(there.stdout), "states": states}


@pytest.mark.behaviour("component.to_autogen")
@pytest.mark.parametrize("example", [pytest.param(each, id=each.name) for each in SHARED])
def test_autogen_reads_what_is_written_here(example: Example) -> None:
    read = exchanged()["read"][example.name]

    assert read.get("error") is None
    assert read["class"] == example.name


@pytest.mark.behaviour("component.to_autogen")
@pytest.mark.parametrize("name", TEAMS)
def test_a_team_that_is_written_here_does_the_same_in_autogen(name: str) -> None:
    there = exchanged()["read"][name]

    assert there.get("error") is None
    assert there["ran"] == shown(asyncio.run(TEAMS[name]().run(task="go")))
    assert content(there["state"]) == content(exchanged()["states"][name])


@pytest.mark.behaviour("component.files")
def test_every_component_of_autogen_is_read_here() -> None:
    read: set[str] = set()
    for name, written in exchanged()["written"].items():
        client = {"gpt-4o": make_client("openai", model="gpt-4o", api_key=KEY)}
        is_client = name.endswith("OpenAIChatCompletionClient")
        made: Any = ComponentLoader.load_component(
            written["component"],
            object,
            tools=[look_up],
            classes=[Answer, LocalCommandLineCodeExecutor],
            model_client=client if is_client else None,
        )
        read.add(written["component"]["provider"])
        if not is_client:
            assert as_json(made)["provider"] == written["component"]["provider"]

    assert len(read) >= 20


@pytest.mark.behaviour("component.files")
@pytest.mark.parametrize("name", THEIR_TEAMS)
def test_a_team_of_autogen_does_the_same_here(name: str) -> None:
    written = exchanged()["written"][name]

    team = BaseGroupChat.load_component(written["component"], tools=[look_up])

    result, state = asyncio.run(done(team))

    assert shown(result) == written["ran"]
    assert content(state) == content(written["state"])
    asyncio.run(team.load_state(written["state"]))
    assert content(asyncio.run(team.save_state())) == content(written["state"])


def test_clients_of_autogen_are_read_with_a_key_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", KEY)
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", "https://r.openai.azure.com")
    for name in ("OpenAIChatCompletionClient", "AzureOpenAIChatCompletionClient"):
        written = exchanged()["written"][name]["component"]

        again = as_json(ComponentLoader.load_component(written, object))  # the key is not in it

        del written["config"]["api_key"]
        assert again["config"].items() >= written["config"].items()
