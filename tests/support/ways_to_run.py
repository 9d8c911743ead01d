"""One definition, run by the command, as a durable run, and by the library's loader."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.terminal import at_terminal

from teamrun.cli.app import app
from teamrun.components.building.teams import build_team
from teamrun.components.team_file import load_registry
from teamrun.core.refs import RunRef
from teamrun.dispatch.local import LocalDispatcher
from teamrun.live.memory import MemoryLive
from teamrun.messages import BaseChatMessage
from teamrun.runs.log.status import RequiredAction
from teamrun.runs.service.requests import Answer, RunRequest
from teamrun.runs.service.service import RunService
from teamrun.runtime import Backends, compose
from teamrun.storage.open import open_store

__all__ = ["Case", "calls", "case", "check_same_in_every_way", "run_by_library", "written"]

TOOLS = """
import asyncio
import time
from pathlib import Path

from teamrun import Response, TextMessage, ToolContext
from teamrun.agents import AssistantAgent, BaseChatAgent
from teamrun.code import CodeExecutionTool, CodeExecutor, Execution
from teamrun.conditions import MaxMessageTermination
from teamrun.conditions.base import SimpleTermination
from teamrun.messages import CodeResult, StopMessage, UserMessage
from teamrun.teams import RoundRobinGroupChat, SelectorGroupChat
from teamrun.tools import FunctionTool

PAID = Path(__file__).with_name("paid")


def pay(euros: int) -> str:
    "Pay."
    with PAID.open("a") as file:
        file.write(f"{euros};")
    return f"paid {euros}"


async def slow() -> str:
    "Take for ever."
    await asyncio.Event().wait()
    return "never"


def breaks() -> str:
    "Break."
    raise ValueError("broken")


def count(context: ToolContext) -> str:
    "Count."
    context.state["n"] = context.state.get("n", 0) + 1
    return str(context.state["n"])


def keep(text: str, context: ToolContext) -> str:
    "Keep a file."
    context.artifacts.write("kept.txt", text)
    return context.artifacts.read("kept.txt").decode()


class Session:
    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> str:
        "Count the calls of a session."
        self.calls += 1
        return str(self.calls)


class Echoer(CodeExecutor):
    async def execute_code_blocks(self, code_blocks, cancellation_token=None):
        for block in code_blocks:
            pay(block.code.strip())
        failed = any("fail" in block.code for block in code_blocks)
        return CodeResult(int(failed), f"ran {code_blocks[-1].code}")


class Isolated(Echoer):
    is_isolated = True

    async def execute(self, code_blocks, files=None, cancellation_token=None):
        pay("called")
        return Execution(CodeResult(0, ""), {"result.json": b'{"__teamrun_result__": 8}'})


run_code = CodeExecutionTool(Echoer(), needs_approval=False)
inline_tools = CodeExecutionTool(Isolated(), name="inline_tools")

session = FunctionTool(Session(), name="session", description="Count.", session="stateful")


class Echo(BaseChatAgent):
    def __init__(self, name: str, description: str = "Echoes.") -> None:
        super().__init__(name, description)

    @property
    def produced_message_types(self):
        return (TextMessage,)

    async def on_messages(self, messages, cancellation_token=None):
        text = messages[-1].to_text() if messages else "nothing"
        return Response(chat_message=TextMessage(content=f"{text}!", source=self.name))

    async def on_reset(self, cancellation_token=None):
        pass


class Thinker(Echo):
    def __init__(self, name, description, model_client, mark):
        super().__init__(name, description)
        self._client, self._mark = model_client, mark

    async def on_messages(self, messages, cancellation_token=None):
        result = await self._client.create([UserMessage(content="Think", source="user")])
        text = result.content + self._mark
        return Response(chat_message=TextMessage(content=text, source=self.name))


class Stopper(Echo):
    @property
    def produced_message_types(self):
        return (StopMessage,)

    async def on_messages(self, messages, cancellation_token=None):
        return Response(chat_message=StopMessage(content="Stop", source=self.name))


def pick(messages):
    "Choose the one after the task, and leave the rest to the model."
    return "b" if messages[-1].source == "user" else None


async def among(messages):
    return ["a"] if messages[-1].source == "b" else ["a", "b"]


def says_two(message):
    return "Two" in message.to_text()


def heard_two(messages):
    return any(says_two(message) for message in messages)


class Spoken(SimpleTermination):
    stop_code = "spoken"

    def __init__(self):
        super().__init__()
        self._heard = 0

    def _check(self, messages):
        self._heard += len(messages)
        return f"{self._heard} heard" if self._heard > 2 else None

    def _counted(self):
        return {"heard": self._heard}

    def _restore(self, state):
        self._heard = state.get("heard", 0)


def made(model_client):
    inner = RoundRobinGroupChat([Echo("e")], name="inner", max_turns=1)
    agent = AssistantAgent("a", model_client, tools=[FunctionTool(pay, "Pay.", effects="write")])
    members = [agent, AssistantAgent("b", model_client), inner]
    return SelectorGroupChat(
        members,
        model_client,
        selector_func=pick,
        candidate_func=lambda messages: ["a"] if messages[-1].source == "b" else ["b", "inner"],
        termination_condition=MaxMessageTermination(9),
    )

"""


def calls(name: str, **arguments: Any) -> dict[str, Any]:
    return {"tool_calls": [{"name": name, "arguments": arguments}]}


@dataclass(frozen=True, kw_only=True)
class Case:
    id: str
    script: Any
    agents: dict[str, Any]
    tools: dict[str, Any]
    team: dict[str, Any]
    lines: tuple[str, ...] = ()
    """The input of the person."""
    library_lines: tuple[str, ...] | None = None
    """The input to the library, if it differs."""
    answers: tuple[dict[str, Any], ...] = ()
    """The person's answer to a durable run."""
    why_not_in_library: str = ""
    """Why the library's loader cannot be compared; empty if it can."""
    extra: dict[str, Any] = field(default_factory=dict[str, Any])
    """Agents that are members of other teams alone."""
    teams: dict[str, Any] = field(default_factory=dict[str, Any])
    """Further teams."""
    servers: dict[str, Any] = field(default_factory=dict[str, Any])
    """MCP servers."""
    functions: tuple[str, ...] = ()
    """Functions and classes of the module that are registered under their own names."""
    output: str | None = None
    """The output of the run; None: the last message's text."""
    options: tuple[str, ...] = ()
    limits: dict[str, Any] | None = None
    output_schema: dict[str, Any] | None = None
    """Of the run; the library has no runs."""
    paid: str = ""
    contains: str = ""
    """Part of the last message."""
    status: int = 0


def case(id: str, steps: Sequence[Any], *, tools: Sequence[str] = (), **more: Any) -> Case:
    """A team of an assistant `a`, with more members before or behind it."""
    conduct = more.pop("conduct", {})
    table = {name: {"function": f"case_tools:{name}", **conduct} for name in tools}
    agent = {"model": "m", "tools": list(tools), **more.pop("agent", {})}
    script = {"a": list(steps), **more.pop("script", {})}
    agents = {"a": agent, **more.pop("agents", {})}
    team = {"agents": [*agents], "max_turns": len(agents), **more.pop("team", {})}
    team = {"type": "round_robin_group_chat", **team}
    return Case(id=id, script=script, agents=agents, tools=table, team=team, **more)


def written(case: Case, folder: Path) -> Path:
    module = f"case_tools_{abs(hash(str(folder)))}"  # each test imports its own
    (folder / f"{module}.py").write_text(TOOLS, encoding="utf-8")
    document = {
        "version": 1,
        "models": {"m": {"type": "scripted", "script": case.script}},
        "tools": case.tools,
        "mcp_servers": case.servers,
        "functions": {name: {"function": f"case_tools:{name}"} for name in case.functions},
        "agents": {**case.agents, **case.extra},
        "teams": {"t": case.team, **case.teams},
    }
    path = folder / "teamrun.yaml"
    text = yaml.safe_dump(json.loads(json.dumps(document))).replace("case_tools:", f"{module}:")
    path.write_text(text, encoding="utf-8")
    return path


def plain(event: dict[str, Any]) -> tuple[str, str | None, dict[str, Any]]:
    """An event without what differs from run to run."""
    data = {**event["data"]}
    for name in ("duration_ms", "expires_at", "limit", "used"):
        data.pop(name, None)
    if "message" in data:
        data["message"] = {
            name: value
            for name, value in data["message"].items()
            if name not in ("id", "created_at")
        }
    return event["type"], event["agent"], data


def run_by_command(
    case: Case, config: Path, capsys: pytest.CaptureFixture[str]
) -> list[dict[str, Any]]:
    root = ["run", "t", "go", "--json", "--config", str(config), *case.options]
    if case.output_schema is not None:
        schema = config.with_name("schema.json")
        schema.write_text(json.dumps(case.output_schema), encoding="utf-8")
        root += ["--output-schema", str(schema)]
    with at_terminal(case.lines), pytest.raises(SystemExit) as ended:
        app(root, prog_name="teamrun")
    assert ended.value.code == case.status
    lines = capsys.readouterr().out.splitlines()
    return [event for event in map(json.loads, lines) if "seq" in event]


async def run_as_a_job(case: Case, config: Path, folder: Path) -> list[dict[str, Any]]:
    registry = load_registry(config, environ={})
    store = open_store(folder.as_uri())
    runtime = compose(Backends(store, MemoryLive(), None), registry)
    service, dispatcher = runtime.service, runtime.dispatcher
    assert isinstance(dispatcher, LocalDispatcher)
    body: dict[str, Any] = {"team": "t", "input": "go", "limits": case.limits or {}}
    body["output_schema"] = case.output_schema
    if "--max-turns" in case.options:
        body["overrides"] = {"max_turns": int(case.options[-1])}
    try:
        submitted = await service.submit("default", RunRequest.model_validate(body))
        return await _followed(service, submitted.run.id, case, dispatcher)
    finally:
        await runtime.shutdown(timedelta())
        await store.close()
        await registry.close()


async def _followed(
    service: RunService, run_id: str, case: Case, dispatcher: LocalDispatcher
) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []
    answers = list(case.answers)
    async for item in service.follow("default", run_id, deltas=False):
        events.append(item.model_dump(mode="json"))
        if item.type == "run.input_required":
            action = RequiredAction.model_validate(item.data)
            if action.expires_at is not None:
                await _expire(service, run_id, dispatcher)
                continue
            given = Answer.model_validate({"action_id": action.id, **answers.pop(0)})
            await service.answer("default", run_id, given)
    return events


async def _expire(service: RunService, run_id: str, dispatcher: LocalDispatcher) -> None:
    """Look at the run again when its question has expired, as the reaper does."""
    while (await service.get("default", run_id)).status == "input_required":
        await asyncio.sleep(0.02)
        await dispatcher.send([RunRef("default", run_id)])


async def run_by_library(config: Path) -> list[tuple[str, str, Any]]:
    registry = load_registry(config, environ={})
    team = build_team(registry.resolve(team="t").definition, registry)
    result = await team.run(task="go")
    await registry.close()
    return [
        (type(message).__name__, message.source, message.dump()["content"])
        for message in result.messages
        if isinstance(message, BaseChatMessage)
    ]


def check_same_in_every_way(case: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The events of the command are those of the durable run, and its messages the library's."""
    folders = [tmp_path / name for name in ("command", "job", "library")]
    for folder in folders:
        folder.mkdir()
    configs = [written(case, folder) for folder in folders]

    events = run_by_command(case, configs[0], capsys)
    job = asyncio.run(run_as_a_job(case, configs[1], tmp_path / "store"))

    modules = [path.stem for path in (next(folder.glob("*.py")) for folder in folders)]
    same = json.loads(json.dumps(list(map(plain, job))).replace(modules[1], modules[0]))
    assert json.loads(json.dumps(list(map(plain, events)))) == same
    messages = [
        (message["type"], message["source"], message["content"])
        for event in events
        if event["type"] == "message.created"
        for message in [event["data"]["message"]]
    ]
    assert case.contains in str(messages[-1][2])
    if not case.why_not_in_library:
        lines = case.lines if case.library_lines is None else case.library_lines
        with at_terminal(lines):
            assert asyncio.run(run_by_library(configs[2])) == messages
    if case.output is not None:
        assert events[-1]["data"]["output"]["text"] == case.output
    for folder in folders[: 2 if case.why_not_in_library else 3]:
        paid = folder / "paid"
        assert (paid.read_text(encoding="utf-8") if paid.exists() else "") == case.paid
