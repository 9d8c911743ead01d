"""`teamrun run` keeps what a definition promises, as a durable run and the library do.

One table of features: each is run by the command, as a durable run, and by the library's loader.
"""

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.terminal import at_terminal
from typer.testing import CliRunner

from teamrun.cli.app import app
from teamrun.cli.terminal import NoLongerAsked, Terminal
from teamrun.components.build import build_team
from teamrun.components.config import load_registry
from teamrun.dispatch.base import RunRef
from teamrun.dispatch.local import LocalDispatcher
from teamrun.errors import FatalToolError, UsageError
from teamrun.live.memory import MemoryLive
from teamrun.messages import BaseChatMessage
from teamrun.runs.engine import Engine
from teamrun.runs.public import RequiredAction
from teamrun.runs.service import RunService
from teamrun.runs.spec import RunRequest
from teamrun.runs.talk import Answer
from teamrun.storage.open import open_store

TOOLS = """
import asyncio
import time
from pathlib import Path

from teamrun import Response, TextMessage, ToolContext
from teamrun.agents import BaseChatAgent
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
"""

FORM = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}


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
    """What the person types."""
    library_lines: tuple[str, ...] | None = None
    """What they type to the library, if it differs."""
    answers: tuple[dict[str, Any], ...] = ()
    """What the person answers to a durable run."""
    in_library: bool = True
    options: tuple[str, ...] = ()
    limits: dict[str, Any] | None = None
    paid: str = ""
    contains: str = ""
    """Part of the last message."""
    status: int = 0


def case(id: str, steps: Sequence[Any], *, tools: Sequence[str] = (), **more: Any) -> Case:
    """A team of an assistant `a`, with more members before or behind it."""
    conduct = more.pop("conduct", {})
    table = {name: {"function": f"case_tools:{name}", **conduct} for name in tools}
    agent = {"model": "m", "tools": list(tools), **more.pop("agent", {})}
    agents = {"a": agent, **more.pop("agents", {})}
    team = {"agents": [*agents], "max_turns": len(agents), **more.pop("team", {})}
    team = {"type": "round_robin_group_chat", **team}
    return Case(id=id, script={"a": list(steps)}, agents=agents, tools=table, team=team, **more)


BOSS = {"type": "user_proxy_agent"}

CASES = [
    case("a text", ["Hello"], contains="Hello"),
    case("a sync tool", [calls("pay", euros=1)], tools=["pay"], paid="1;", contains="paid 1"),
    case("a tool that fails", [calls("breaks")], tools=["breaks"], contains="broken"),
    case(
        "approved",
        [calls("pay", euros=2), "Done"],
        tools=["pay"],
        agent={"reflect_on_tool_use": True},
        conduct={"approval": True, "effects": "write"},
        lines=("", "perhaps", "y"),
        answers=({"decision": "approve"},),
        paid="2;",
        contains="Done",
    ),
    case(
        "rejected",
        [calls("pay", euros=3)],
        tools=["pay"],
        conduct={"approval": True},
        lines=("n", ""),
        answers=({"decision": "reject"},),
        contains="not approved",
    ),
    case(
        "approved by --yes",
        [calls("pay", euros=4)],
        tools=["pay"],
        conduct={"approval": True},
        options=("--yes",),
        library_lines=("y",),
        answers=({"decision": "approve"},),
        paid="4;",
    ),
    case(
        "effects",
        [calls("pay", euros=5)],
        tools=["pay"],
        conduct={"effects": "write", "on_unknown": "ask"},
        paid="5;",
    ),
    case(
        "a tool's timeout",
        [calls("slow")],
        tools=["slow"],
        conduct={"timeout": 0.05},
        contains="did not finish",
    ),
    case(
        "state",
        [calls("count"), calls("count"), "Counted"],
        tools=["count"],
        agent={"max_tool_iterations": 3},
        contains="Counted",
    ),
    case("a file", [calls("keep", text="Snow")], tools=["keep"], contains="Snow"),
    case(
        "a session",
        [calls("session"), calls("session")],
        tools=["session"],
        agent={"max_tool_iterations": 2},
        contains="2",
    ),
    case(
        "a person",
        ["Hello"],
        agents={"boss": BOSS},
        lines=("Go on",),
        answers=({"content": "Go on"},),
        contains="Go on",
    ),
    case(
        "a form",
        ["Hello"],
        agents={"boss": {**BOSS, "input_schema": FORM}},
        lines=("yes", '{"ok": 1}', '{"ok": true}'),
        answers=({"data": {"ok": True}},),
        contains='{"ok":true}',
    ),
    case(
        "a default answer",
        ["Hello"],
        agents={
            "boss": {
                **BOSS,
                "input_schema": FORM,
                "expires_in_seconds": 0.05,
                "default_answer": {"ok": False},
            }
        },
        contains='{"ok":false}',
    ),
    case(
        "a handoff to a person",
        [calls("transfer_to_human"), "Thanks"],
        agent={"handoffs": ["human"]},
        team={
            "max_turns": 9,
            "termination": [
                {"type": "handoff", "target": "human"},
                {"type": "text_mention", "text": "Thanks"},
            ],
        },
        lines=("Here I am",),
        answers=({"content": "Here I am"},),
        contains="Thanks",
        in_library=False,  # there the team ends at the handoff, and the program asks
    ),
    case(
        "an agent class",
        ["Hello"],
        agents={"echo": {"class": "case_tools:Echo"}},
        contains="Hello!",
    ),
    case(
        "a condition",
        ["One", "DONE", "Three"],
        team={"max_turns": 9, "termination": {"type": "text_mention", "text": "DONE"}},
        contains="DONE",
    ),
    case(
        "a limit of turns",
        ["One", "Two", "Three"],
        team={"max_turns": 9},
        options=("--max-turns", "2"),
        contains="Two",
        in_library=False,  # a limit of the run, not of the team
    ),
    case(
        "a limit of time",
        [calls("slow"), "Late"],
        tools=["slow"],
        options=("--timeout-seconds", "0.2"),
        limits={"timeout_seconds": 0.2},
        in_library=False,
        status=1,
    ),
]


def written(case: Case, folder: Path) -> Path:
    module = f"case_tools_{abs(hash(str(folder)))}"  # each test imports its own
    (folder / f"{module}.py").write_text(TOOLS, encoding="utf-8")
    document = {
        "version": 1,
        "models": {"m": {"type": "scripted", "script": case.script}},
        "tools": case.tools,
        "agents": case.agents,
        "teams": {"t": case.team},
    }
    path = folder / "teamrun.yaml"
    text = yaml.safe_dump(document).replace("case_tools:", f"{module}:")
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
    with at_terminal(case.lines), pytest.raises(SystemExit) as ended:
        app(root, prog_name="teamrun")
    assert ended.value.code == case.status
    lines = capsys.readouterr().out.splitlines()
    return [event for event in map(json.loads, lines) if "seq" in event]


async def run_as_a_job(case: Case, config: Path, folder: Path) -> list[dict[str, Any]]:
    registry = load_registry(config, environ={})
    store, live = open_store(folder.as_uri()), MemoryLive()
    dispatcher = LocalDispatcher(lambda ref: engine.execute(ref))
    engine = Engine(store=store, live=live, dispatcher=dispatcher, registry=registry, owner="w")
    service = RunService(store=store, live=live, dispatcher=dispatcher, registry=registry)
    body: dict[str, Any] = {"team": "t", "input": "go", "limits": case.limits or {}}
    if "--max-turns" in case.options:
        body["overrides"] = {"max_turns": int(case.options[-1])}
    try:
        submitted = await service.submit("default", RunRequest.model_validate(body))
        return await _followed(service, submitted.run.id, case, dispatcher)
    finally:
        engine.abort()
        await dispatcher.close()
        await engine.close()
        await service.close()
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
        await dispatcher.send(RunRef("default", run_id))


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


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_feature_is_the_same_in_every_way_to_run_it(
    case: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
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
    if case.in_library:
        lines = case.lines if case.library_lines is None else case.library_lines
        with at_terminal(lines):
            assert asyncio.run(run_by_library(configs[2])) == messages
    for folder in folders[: 3 if case.in_library else 2]:
        paid = folder / "paid"
        assert (paid.read_text(encoding="utf-8") if paid.exists() else "") == case.paid


APPROVAL = next(case for case in CASES if case.id == "approved")
PERSON = next(case for case in CASES if case.id == "a person")


@pytest.mark.parametrize("case", [APPROVAL, PERSON], ids=lambda case: case.id)
def test_without_a_terminal_nothing_is_answered_in_a_persons_place(
    case: Case, tmp_path: Path
) -> None:
    config = written(case, tmp_path)

    result = CliRunner().invoke(app, ["run", "t", "go", "--config", str(config)])

    assert isinstance(result.exception, UsageError)
    assert ("--yes" in str(result.exception)) is (case is APPROVAL)
    assert not (tmp_path / "paid").exists()


def test_without_a_terminal_the_library_refuses_a_call_that_needs_approval(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = written(APPROVAL, tmp_path)
    with Path(os.devnull).open(encoding="utf-8") as nothing:
        monkeypatch.setattr("sys.stdin", nothing)

        with pytest.raises(FatalToolError):
            asyncio.run(run_by_library(config))

    assert not (tmp_path / "paid").exists()


def test_a_tool_whose_parameter_has_no_schema_is_refused_with_its_place(tmp_path: Path) -> None:
    config = written(case("", ["Hello"], tools=["pay"]), tmp_path)
    module = next(tmp_path.glob("*.py"))
    module.write_text("class Odd: ...\n\ndef pay(x: Odd) -> str:\n    'Pay.'\n", encoding="utf-8")

    result = CliRunner().invoke(app, ["run", "t", "go", "--config", str(config)])

    assert isinstance(result.exception, UsageError)
    text = str(result.exception)
    assert [part in text for part in ("teamrun.yaml:", "/tools/pay", "'x'", "Odd")] == [True] * 4
    assert len(text.splitlines()) == 1


@pytest.mark.parametrize(
    ("team", "more"),
    [("none", ()), ("none.json", ()), ("t", ("--max-cost-usd", "free")), ("t", ("--model", "x"))],
)
def test_wrong_use_is_refused_before_anything_begins(
    team: str, more: tuple[str, ...], tmp_path: Path
) -> None:
    config = written(CASES[0], tmp_path)

    result = CliRunner().invoke(app, ["run", team, "go", "--config", str(config), *more])

    assert isinstance(result.exception, UsageError)
    assert result.stdout == ""


def test_a_line_that_was_half_written_when_its_question_closed_is_dropped() -> None:
    with at_terminal([]) as person:
        os.write(person, b"half")
        terminal = Terminal(sys.stdin.fileno())
        with pytest.raises(NoLongerAsked):
            terminal.read("? ", lambda: False)
        os.write(person, b"whole\n")

        assert terminal.read("? ", lambda: True) == "whole"
