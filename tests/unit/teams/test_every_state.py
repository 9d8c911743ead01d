"""Every class of teams and agents: a run that is left anywhere continues from its state in JSON."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from tests.support.talkers import Passer, Talker
from tests.support.team_cases import progress

from teamrun.agents import (
    AssistantAgent,
    BaseChatAgent,
    CodeExecutorAgent,
    MessageFilterAgent,
    MessageFilterConfig,
    PerSourceFilter,
    SocietyOfMindAgent,
    UserProxyAgent,
)
from teamrun.code import CodeExecutor
from teamrun.conditions import MaxMessageTermination, TextMentionTermination
from teamrun.core import TaskResult
from teamrun.core.cancellation import CancellationToken
from teamrun.core.component.table import COMPONENTS
from teamrun.messages import CreateResult, FunctionCall, LLMMessage, RequestUsage
from teamrun.messages.code import CodeBlock, CodeResult
from teamrun.teams import (
    BaseGroupChat,
    CompetitiveGroupChat,
    ConcurrentGroupChat,
    DebateGroupChat,
    DiGraphBuilder,
    GraphFlow,
    HierarchicalGroupChat,
    MagenticOneGroupChat,
    RoundRobinGroupChat,
    SelectorGroupChat,
    SequentialGroupChat,
    Swarm,
)
from teamrun.testing import ScriptedModel

pytestmark = pytest.mark.filterwarnings("ignore:No approval function")

Json = dict[str, Any]
Answer = Callable[[Sequence[LLMMessage]], str | list[FunctionCall]]


class Pure(ScriptedModel):
    """Answers by the conversation alone, so that a turn that is taken again is the same."""

    def __init__(self, answer: Answer) -> None:
        super().__init__([])
        self._answer = answer

    async def create(self, messages: Sequence[LLMMessage], **options: Any) -> CreateResult:
        usage = RequestUsage(prompt_tokens=1, completion_tokens=1)
        return CreateResult(finish_reason="stop", content=self._answer(messages), usage=usage)


def calls_once(messages: Sequence[LLMMessage]) -> str | list[FunctionCall]:
    """A call of the tool, and then a text."""
    if messages[-1].type == "UserMessage":
        return [FunctionCall(id=str(len(messages)), arguments="{}", name="look")]
    return f"done {len(messages)}"


def by_length(messages: Sequence[LLMMessage]) -> str:
    return f"read {len(messages)}"


def picks(messages: Sequence[LLMMessage]) -> str:
    """A speaker, by the length of the conversation so far."""
    return "abc"[str(messages).count("said") % 3]


def leads(messages: Sequence[LLMMessage]) -> str:
    """Facts and plan as texts; a ledger by the number of the agents' messages."""
    asked = str(messages[-1].content)
    if "is_request_satisfied" not in asked:
        return "so it is"
    said = sum("said" in str(message.content) for message in messages)
    return progress("ab"[said % 2], "Go on.", done=said > 3, moving=said != 2)


async def look() -> str:
    """Look."""
    return "seen"


class Echo(CodeExecutor):
    async def execute_code_blocks(
        self, code_blocks: Sequence[CodeBlock], cancellation_token: CancellationToken | None = None
    ) -> CodeResult:
        return CodeResult(exit_code=0, output=code_blocks[-1].code)


def talkers(names: str = "abc") -> list[Talker]:
    return [Talker(name, *(f"{name} said {n}" for n in range(9))) for name in names]


def bounded(count: int = 6) -> Any:
    return MaxMessageTermination(count) | TextMentionTermination("STOP")


def graph() -> GraphFlow:
    """`a` speaks again after the first of two others, and `d` after that."""
    a, b, c, d = talkers("abcd")
    builder = DiGraphBuilder().add_node(a).add_node(b).add_node(c).add_node(d)
    builder.set_entry_point(a)
    for each in (b, c):
        builder.add_edge(a, each, condition="a said")
        builder.add_edge(each, a, activation_group="back", activation_condition="any")
    builder.add_edge(a, d, condition="a said 2")
    return GraphFlow(builder.get_participants(), builder.build(), termination_condition=bounded(12))


def one_of_each() -> list[BaseChatAgent]:
    """An agent of each class."""

    async def answers(prompt: str, token: CancellationToken | None = None) -> str:
        return "I agree."

    only = MessageFilterConfig(per_source=[PerSourceFilter(source="user")])
    return [
        AssistantAgent("writer", Pure(calls_once), tools=[look], reflect_on_tool_use=True),
        UserProxyAgent("boss", input_func=answers),
        SocietyOfMindAgent(
            "mind", RoundRobinGroupChat(talkers("xy"), max_turns=2), Pure(by_length)
        ),
        MessageFilterAgent("sieve", Talker("sieve"), only),
        Talker("t", "```python\n1\n```"),
        CodeExecutorAgent("terminal", Echo(), sources=["t"]),
    ]


def nested() -> RoundRobinGroupChat:
    inner = SequentialGroupChat(talkers("xy"), name="inner")
    chosen = SelectorGroupChat(talkers(), Pure(picks), name="chosen", max_turns=2)
    members = [Talker("o"), inner, chosen]
    return RoundRobinGroupChat(members, termination_condition=bounded(14))


MAKES: dict[str, Callable[[], BaseGroupChat]] = {
    "RoundRobinGroupChat": lambda: RoundRobinGroupChat(talkers(), termination_condition=bounded()),
    "SelectorGroupChat": lambda: SelectorGroupChat(
        talkers(), Pure(picks), termination_condition=bounded(), allow_repeated_speaker=True
    ),
    "Swarm": lambda: Swarm(
        [Passer("a", "1", ">b", "3"), Passer("b", "2", ">a")], termination_condition=bounded()
    ),
    "GraphFlow": graph,
    "MagenticOneGroupChat": lambda: MagenticOneGroupChat(
        talkers("ab"), Pure(leads), max_stalls=1, max_turns=9
    ),
    "SequentialGroupChat": lambda: SequentialGroupChat(talkers()),
    "ConcurrentGroupChat": lambda: ConcurrentGroupChat(talkers(), synthesizer="c"),
    "HierarchicalGroupChat": lambda: HierarchicalGroupChat(
        [Talker("m", "a: go\nb: go", "a: again", "Done"), *talkers("ab")], manager="m"
    ),
    "DebateGroupChat": lambda: DebateGroupChat(talkers(), judge="c", rounds=2),
    "CompetitiveGroupChat": lambda: CompetitiveGroupChat(
        [*talkers("ab"), Talker("c", "b")], judge="c"
    ),
    "agents": lambda: RoundRobinGroupChat(one_of_each(), max_turns=9),
    "nested": nested,
}


async def saved(team: BaseGroupChat) -> Json:
    return json.loads(json.dumps(await team.save_state()))


def manager_of(state: Mapping[str, Any]) -> Json:
    [manager] = [each for each in state["agent_states"].values() if "message_thread" in each]
    return manager


async def thread_of(team: BaseGroupChat) -> list[tuple[str, str, Any]]:
    thread = manager_of(await saved(team))["message_thread"]
    return [(each["type"], each["source"], each.get("content")) for each in thread]


async def left_after(team: BaseGroupChat, count: int) -> Json | None:
    """The state of a run that was left after so many items; None if it had no more."""
    stream = team.run_stream(task="go")
    try:
        for _ in range(count):
            if isinstance(await anext(stream), TaskResult):
                return None
        return await saved(team)
    finally:
        await stream.aclose()


@pytest.mark.behaviour("state.counts", "state.continue")
@pytest.mark.parametrize("name", MAKES)
async def test_a_run_that_is_left_anywhere_continues_from_its_state_to_the_same_end(
    name: str,
) -> None:
    whole = MAKES[name]()
    result = await whole.run(task="go")
    wanted, count = await thread_of(whole), 1
    while (state := await left_after(MAKES[name](), count)) is not None:
        team = MAKES[name]()
        await team.load_state(state)
        assert await saved(team) == state, f"left after {count} items"
        again = await team.run()
        assert await thread_of(team) == wanted, f"left after {count} items"
        assert (again.stop_reason, team.stop_code) == (result.stop_reason, whole.stop_code)
        count += 1
    assert count > 3


def test_every_class_of_teams_and_agents_has_a_case() -> None:
    cases = [*one_of_each(), *(make() for make in MAKES.values())]
    rows = {name for name, row in COMPONENTS.items() if row.type in ("team", "agent")}
    assert rows <= {type(each).__name__ for each in cases}


STATES: dict[str, tuple[str, set[str]]] = {
    "RoundRobinGroupChat": ("RoundRobinManagerState", {"next_speaker_index"}),
    "SelectorGroupChat": ("SelectorManagerState", {"previous_speaker"}),
    "Swarm": ("SwarmManagerState", {"current_speaker"}),
    "GraphFlow": ("GraphManagerState", {"remaining", "enqueued_any", "ready"}),
    "MagenticOneGroupChat": (
        "MagenticOneOrchestratorState",
        {"task", "facts", "plan", "n_rounds", "n_stalls"},
    ),
}
"""AutoGen's states of managers."""


@pytest.mark.behaviour("state.layout")
@pytest.mark.parametrize("name", STATES)
async def test_the_state_of_a_team_of_autogen_has_its_layout(name: str) -> None:
    state = await left_after(MAKES[name](), 3)

    assert state is not None
    assert (state["type"], state["version"]) == ("TeamState", "1.0.0")
    manager = manager_of(state)
    kind, fields = STATES[name]
    assert manager["type"] == kind
    assert manager.keys() >= {"version", "message_thread", "current_turn", *fields}
    for name_of_member, member in state["agent_states"].items():
        if member is not manager:
            assert member["type"] == "ChatAgentContainerState", name_of_member
            assert member.keys() >= {"version", "agent_state", "message_buffer"}
