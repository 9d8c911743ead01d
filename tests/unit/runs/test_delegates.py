"""Agents and teams as tools of a run: each run has its own, and the calls inside are recorded."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.runs import TENANT, Cluster, solo
from tests.support.team_cases import progress

from teamrun.agents import AssistantAgent, BaseChatAgent, UserProxyAgent
from teamrun.components.building.teams import build_team
from teamrun.components.team_file import load_registry
from teamrun.core.protocols import Response
from teamrun.errors import DefinitionError
from teamrun.memory import ListMemory
from teamrun.messages import TextMessage
from teamrun.runs.engine.finish import Finish
from teamrun.runs.log.entries import calls_of
from teamrun.runs.service.requests import Answer
from teamrun.teams import (
    ConcurrentGroupChat,
    DiGraphBuilder,
    GraphFlow,
    MagenticOneGroupChat,
    RoundRobinGroupChat,
    SelectorGroupChat,
    Swarm,
)
from teamrun.testing import ScriptedModel
from teamrun.tools import AgentTool, FunctionTool, TeamTool
from teamrun.tools.agent_tool import TaskRunnerTool


def _delegate(task: str) -> dict[str, Any]:
    return {"tool_calls": [{"name": "helper", "arguments": {"task": task}}]}


def _agent(model: ScriptedModel, *tools: Any) -> AgentTool:
    return AgentTool(
        AssistantAgent("helper", model, tools=[*tools] or None, reflect_on_tool_use=bool(tools))
    )


def _round_robin(model: ScriptedModel, *tools: Any) -> TeamTool:
    inner = AssistantAgent("inner", model, tools=[*tools] or None, reflect_on_tool_use=bool(tools))
    return TeamTool(RoundRobinGroupChat([inner], max_turns=1), "helper", "Helps.")


def _selector(model: ScriptedModel, *tools: Any) -> TeamTool:
    inner = AssistantAgent("inner", model, tools=[*tools] or None, reflect_on_tool_use=bool(tools))
    other = AssistantAgent("other", ScriptedModel([]))
    chooser = ScriptedModel(["inner"] * 9)
    team = SelectorGroupChat([inner, other], chooser, max_turns=1, allow_repeated_speaker=True)
    return TeamTool(team, "helper", "Helps.")


def _swarm(model: ScriptedModel, *tools: Any) -> TeamTool:
    inner = AssistantAgent(
        "inner", model, tools=[*tools] or None, handoffs=["other"], reflect_on_tool_use=bool(tools)
    )
    other = AssistantAgent("other", ScriptedModel([]))
    return TeamTool(Swarm([inner, other], max_turns=1), "helper", "Helps.")


def _graph(model: ScriptedModel, *tools: Any) -> TeamTool:
    inner = AssistantAgent("inner", model, tools=[*tools] or None, reflect_on_tool_use=bool(tools))
    team = GraphFlow([inner], DiGraphBuilder().add_node(inner).build())
    return TeamTool(team, "helper", "Helps.")


def _magentic(model: ScriptedModel, *tools: Any) -> TeamTool:
    inner = AssistantAgent("inner", model, tools=[*tools] or None, reflect_on_tool_use=bool(tools))
    ledgers = [progress("inner", "Help."), progress("inner", "", done=True)]
    orchestrator = ScriptedModel(["facts", "plan", *ledgers, "helped"] * 9)
    team = MagenticOneGroupChat([inner], orchestrator)
    return TeamTool(team, "helper", "Helps.")


def _steps(model: ScriptedModel, *tools: Any) -> TeamTool:
    inner = AssistantAgent("inner", model, tools=[*tools] or None, reflect_on_tool_use=bool(tools))
    return TeamTool(ConcurrentGroupChat([inner]), "helper", "Helps.")


KINDS: list[Callable[..., TaskRunnerTool]] = [
    *(_agent, _round_robin, _selector, _swarm, _graph, _magentic, _steps)
]
each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__.strip("_"))


def _cluster(tool: TaskRunnerTool, *steps: Any, **options: Any) -> Cluster:
    team = solo("helper", reflect_on_tool_use=True)
    return Cluster({"a": [*steps, "DONE"]}, team=team, tools=[tool], **options)


async def _calls(cluster: Cluster, ref: Any) -> list[str]:
    bodies = [entry.body for entry in await cluster.entries(ref)]
    return [call.call_id for body in bodies for call in calls_of(body)]


@each_kind
async def test_a_run_reads_nothing_of_what_another_run_has_delegated(
    kind: Callable[..., TaskRunnerTool],
) -> None:
    model = ScriptedModel(["fine"] * 9, record=True)
    cluster = _cluster(kind(model), _delegate("SECRET"))
    refs = [await cluster.submit() for _ in range(3)]
    worker = cluster.worker()
    for ref in refs:
        assert await worker.execute(ref) is Finish.ENDED
    await worker.close()

    heard = [str(call.messages).count("SECRET") for call in model.calls]
    assert heard == [1, 1, 1]


@each_kind
async def test_calls_inside_are_on_record_and_count_as_usage(
    kind: Callable[..., TaskRunnerTool],
) -> None:
    def add(a: int) -> int:
        """Add."""
        return a + 1

    model = ScriptedModel([{"tool_calls": [{"name": "add", "arguments": {"a": 1}}]}, "two"])
    cluster = _cluster(kind(model, FunctionTool(add)), _delegate("count"))
    ref = await cluster.submit()
    worker = cluster.worker()
    await worker.execute(ref)
    await worker.close()

    calls = [call for call in await _calls(cluster, ref) if "/helper/" in call]
    inner = [call for call in calls if call.split("/")[-2] not in ("selector", "orchestrator")]
    assert [call.rpartition("/")[2] for call in inner] == ["model:0", "tool:0", "model:1"]
    run = await cluster.service.get(TENANT, ref.run_id)
    assert run.usage.model_calls == 2 + len(calls) - 1
    assert run.usage.tool_calls == 1
    said = [m["content"] for m in (await cluster.service.result(TENANT, ref.run_id)).messages]
    assert "two" in said


async def _until_asked(
    cluster: Cluster, ref: Any, owner: str, asked: list[str] | None = None
) -> Finish:
    """Execute a run in a new worker until it asks for approval, or to its end; and approve."""
    worker = cluster.worker(owner)
    finish = await worker.execute(ref)
    await worker.close()
    for action in (await cluster.service.get(TENANT, ref.run_id)).required_actions:
        if asked is not None:
            asked.append(action.type)
        answer = Answer(action_id=action.id, decision="approve")
        await cluster.service.answer(TENANT, ref.run_id, answer)
    return finish


@each_kind
async def test_another_worker_continues_without_asking_again(
    kind: Callable[..., TaskRunnerTool],
) -> None:
    model = ScriptedModel(["one", "two"], record=True)
    tool = kind(model)
    tool.needs_approval = True
    cluster = _cluster(tool, _delegate("first"), "so", _delegate("second"))
    ref = await cluster.submit()
    asked = list[str]()
    for owner in ("w1", "w2", "w3"):
        finish = await _until_asked(cluster, ref, owner, asked)

    assert finish is Finish.ENDED
    assert asked == ["approval", "approval"]
    assert len(model.calls) == 2
    if kind is not _magentic:  # whose agents begin anew with each plan
        assert "first" in str(model.calls[1].messages)  # it keeps its conversation during the run


@pytest.mark.behaviour("agent.tools.run")
async def test_tools_that_code_takes_from_a_registered_agent_stay_in_its_runs() -> None:
    def add(a: int) -> int:
        """Add."""
        agent.tools.clear()
        return a + 1

    once = {"tool_calls": [{"name": "add", "arguments": {"a": 1}}]}
    model = ScriptedModel([once, once, "fine", once, "fine"], record=True)
    agent = AssistantAgent("helper", model, tools=[FunctionTool(add)], max_tool_iterations=5)
    tool = AgentTool(agent)
    tool.needs_approval = True
    cluster = _cluster(tool, _delegate("first"), "so", _delegate("second"))
    ref = await cluster.submit()
    for owner in ("w1", "w2", "w3"):  # each of them executes the run from its beginning
        finish = await _until_asked(cluster, ref, owner)

    assert list(agent.tools) == []
    assert finish is Finish.ENDED
    assert [len(call.tools) for call in model.calls] == [1] * 5


async def test_a_limit_of_model_calls_counts_those_inside() -> None:
    model = ScriptedModel(["fine"] * 9, record=True)
    cluster = _cluster(_agent(model), *[_delegate("x")] * 5)
    ref = await cluster.submit(limits={"max_model_calls": 2})
    worker = cluster.worker()
    await worker.execute(ref)
    await worker.close()

    run = await cluster.service.get(TENANT, ref.run_id)
    assert (run.status, run.usage.model_calls) == ("incomplete", 2)


async def test_a_person_inside_is_asked_by_the_run() -> None:
    cluster = _cluster(AgentTool(UserProxyAgent("helper")), _delegate("Which?"))
    ref = await cluster.submit()
    worker = cluster.worker()
    assert await worker.execute(ref) is Finish.WAITING
    [action] = (await cluster.service.get(TENANT, ref.run_id)).required_actions
    await cluster.service.answer(
        TENANT, ref.run_id, Answer(action_id=action.id, content="the red one")
    )
    assert await worker.execute(ref) is Finish.ENDED
    await worker.close()


async def test_teams_that_are_built_of_one_registry_do_not_share_it() -> None:
    model = ScriptedModel(["fine"] * 9, record=True)
    cluster = _cluster(_agent(model), _delegate("SECRET"), *["DONE"] * 9)
    definition = cluster.registry.resolve(team="team").definition
    for _ in range(2):
        team = build_team(definition, cluster.registry)
        await team.run(task="go")
        cluster.model.rewind()

    assert [str(call.messages).count("SECRET") for call in model.calls] == [1, 1]


class Own(BaseChatAgent):
    """An agent of a class of one's own."""

    @property
    def produced_message_types(self) -> tuple[type[TextMessage]]:
        return (TextMessage,)

    async def on_messages(self, messages: Any, cancellation_token: Any = None) -> Response:
        return Response(chat_message=TextMessage(content="x", source=self.name))

    async def on_reset(self, cancellation_token: Any = None) -> None: ...


REGISTERED = """
from tests.unit.runs.test_delegates import Own
from teamrun import AssistantAgent, RoundRobinGroupChat
from teamrun.memory import ListMemory
from teamrun.testing import ScriptedModel
from teamrun.tools import AgentTool, ApprovedTool, StaticWorkbench, TeamTool

def agent(**options):
    return AssistantAgent("helper", ScriptedModel(["fine"] * 9), **options)

fine = agent()
own = Own("helper", "Helps.")
tools = {
    "own class": AgentTool(own),
    "own class in a team": TeamTool(RoundRobinGroupChat([own], max_turns=1), "helper", "Helps."),
    "memory": AgentTool(agent(memory=[ListMemory()])),
    "workbench": AgentTool(agent(workbench=StaticWorkbench([]))),
    "inside": AgentTool(agent(tools=[AgentTool(Own("deep", "x"))])),
    "approved": ApprovedTool(AgentTool(fine)),
}
helper = tools[CASE]
"""
FUNCTION = """
from tests.unit.runs.test_delegates import Own

async def helper(task: str) -> str:
    "Helps."
    return (await Own("helper", "Helps.").run(task=task)).messages[-1].to_text()
"""
APPROVAL = """
from teamrun import AssistantAgent
from teamrun.testing import ScriptedModel
from teamrun.tools import AgentTool

helper = AgentTool(AssistantAgent("helper", ScriptedModel(["fine"])))
helper.needs_approval = True
"""
CASES = ["own class", "own class in a team", "memory", "workbench", "inside", "approved"]


def _load(folder: Path, code: str, module: str) -> None:
    (folder / f"{module}.py").write_text(code, encoding="utf-8")
    path = folder / "teamrun.yaml"
    path.write_text(
        "version: 1\n"
        "models: {m: {type: scripted, script: [x]}}\n"
        f"tools: {{helper: {{type: function, function: '{module}:helper'}}}}\n"
        "agents: {a: {model: m, tools: [helper]}}\n"
        "teams: {t: {type: round_robin_group_chat, agents: [a], max_turns: 1}}\n",
        encoding="utf-8",
    )
    load_registry(path, environ={}).preload()


@pytest.mark.parametrize("case", CASES)
def test_agents_that_cannot_be_copied_are_refused_when_the_tools_are_imported(
    case: str, tmp_path: Path
) -> None:
    module = f"delegates_{case.replace(' ', '_')}"
    with pytest.raises(DefinitionError) as raised:
        _load(tmp_path, REGISTERED.replace("CASE", repr(case)), module)
    assert raised.value.pointer == "/tools/helper/function"


@pytest.mark.parametrize("code", [FUNCTION, APPROVAL], ids=["function", "approval"])
def test_the_remedies_work(code: str, tmp_path: Path) -> None:
    _load(tmp_path, code, f"remedies_{'own' if code is FUNCTION else 'approval'}")


def test_a_memory_is_what_the_error_names() -> None:
    tool = AgentTool(AssistantAgent("helper", ScriptedModel([]), memory=[ListMemory()]))
    cluster = _cluster(tool)
    definition = cluster.registry.resolve(team="team").definition
    with pytest.raises(DefinitionError):
        build_team(definition, cluster.registry)


@pytest.mark.parametrize("stream", ["on_messages_stream", "run_stream"])
@pytest.mark.parametrize("is_nested", [False, True])
def test_an_agent_with_a_stream_of_its_own_is_refused(stream: str, is_nested: bool) -> None:
    agent = AssistantAgent("helper", ScriptedModel([]))
    setattr(agent, stream, getattr(agent, stream))
    team = RoundRobinGroupChat([agent], max_turns=1)
    tool = TeamTool(team, "helper", "Helps.") if is_nested else AgentTool(agent)
    cluster = _cluster(tool)
    with pytest.raises(DefinitionError):
        build_team(cluster.registry.resolve(team="team").definition, cluster.registry)
