"""`docs/reference/events.md` lists the events of runs, with their data."""

import ast
import re
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import pytest
from tests.support.pages import ROOT, page
from tests.support.runs import TENANT, Cluster, duo, solo

from teamrun.agents import BaseChatAgent
from teamrun.components.registry import Registry
from teamrun.core.cancellation import CancellationToken
from teamrun.core.protocols import Response
from teamrun.errors import ModelError
from teamrun.messages import BaseChatMessage, TextMessage
from teamrun.models.attempts import answering, on_fallback, on_retry
from teamrun.testing import ScriptedModel
from teamrun.tools.context import ToolContext
from teamrun.tools.function import FunctionTool

PAGE = page("docs/reference/events.md")
HEADINGS = ("## The run", "## The team", "## Calls", "## Live only")
ROWS = {
    re.findall(r"`([\w.]+)`", type_)[0]: re.findall(r"`(\w+\??)`", data)
    for heading in HEADINGS
    for type_, data, _ in PAGE.table(heading)
}
GROUPS = r"(run|turn|speaker|message|thought|agent|memory|model|tool|code|artifact|limit)"
MADE_OF_PARTS = {
    "run.completed",
    "run.failed",
    "run.cancelled",
    "run.incomplete",
    "run.expired",
    "model.call.completed",
    "model.call.failed",
    "agent.call.completed",
    "agent.call.failed",
}
"""Types that the code puts together of a status."""


def types_in_the_code() -> Iterator[str]:
    for path in (ROOT / "shared/teamrun/runs").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            text = node.value if isinstance(node, ast.Constant) else None
            if isinstance(text, str) and re.fullmatch(rf"{GROUPS}(\.[a-z_]+)+", text):
                yield text


def test_the_page_lists_the_types_that_the_code_has() -> None:
    # A new type needs a row in docs/reference/events.md, with the keys of its data.
    assert ROWS.keys() == {*types_in_the_code(), *MADE_OF_PARTS}


def work(context: ToolContext) -> str:
    """Leave a file."""
    context.progress("half", 50)
    context.artifacts.write("file.txt", "text")
    return "done"


def fail() -> str:
    """Fail."""
    raise ValueError("no")


class Faltering(ScriptedModel):
    """Says that it has tried again and fallen back, as the wrappers do."""

    async def create(self, *args: Any, **options: Any) -> Any:
        told = on_retry.get()
        if told is not None:
            told(1, timedelta(seconds=1), ModelError("busy", retryable=True))
        if (fell_back := on_fallback.get()) is not None:
            fell_back("main", "second", ModelError("busy", retryable=True))
            answering.set("second")
        return await super().create(*args, **options)


def call(*names: str) -> dict[str, Any]:
    return {"content": "I try.", "tool_calls": [{"name": name} for name in names]}


def selector() -> dict[str, Any]:
    team = duo(2)
    return {**team, "type": "selector_group_chat", "model": "m"}


def handing_over() -> dict[str, Any]:
    team = duo(2)
    a, b = team["participants"]
    return {**team, "participants": [{**a, "handoffs": ["b"]}, b]}


class Parrot(BaseChatAgent):
    """A custom agent, which repeats the messages that it receives."""

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        return (TextMessage,)

    def __init__(self, name: str) -> None:
        super().__init__(name, "Repeats.")

    async def on_messages(
        self,
        messages: Sequence[BaseChatMessage],
        cancellation_token: CancellationToken | None = None,
    ) -> Response:
        return Response(chat_message=TextMessage(source=self.name, content=messages[-1].to_text()))

    async def on_reset(self, cancellation_token: CancellationToken) -> None:
        pass


def parrot() -> dict[str, Any]:
    agent = {"type": "custom_agent", "name": "p", "agent": "parrot"}
    return {"type": "round_robin_group_chat", "participants": [agent], "max_turns": 2}


RUNS: dict[str, tuple[dict[str, Any], dict[str, list[Any]]]] = {
    "tools": (
        solo("work", "fail", max_tool_iterations=3, reflect_on_tool_use=True),
        {"a": [call("work", "fail"), call("unknown"), "Well. DONE", "Well. DONE"]},
    ),
    "selector": (selector(), {"a": ["A."], "b": ["B."], "selector": ["a", "b"]}),
    "handoff": (handing_over(), {"a": [call("transfer_to_b")], "b": ["Thanks."]}),
    "parrot": (parrot(), {}),
    "failure": (solo(), {"a": [{"error": {"message": "gone"}}]}),
}


async def events_of(team: dict[str, Any], script: dict[str, list[Any]]) -> list[Any]:
    tools = [FunctionTool(work, "Work."), FunctionTool(fail, "Fail.")]
    registry = Registry.of(
        teams={"team": team},
        models={"m": Faltering(script)},
        tools=tools,
        agents={"parrot": Parrot},
    )
    cluster = Cluster(script, team=team, registry=registry)
    ref = await cluster.submit()
    worker = cluster.worker()
    await worker.execute(ref)
    await worker.close()
    return (await cluster.service.events(TENANT, ref.run_id, limit=1000)).data


BUSY = {"error": {"message": "busy", "status_code": 529, "retryable": True}}
BEFALLEN: dict[str, tuple[dict[str, Any], list[Any]]] = {
    "run.incomplete": ({"limits": {"max_model_calls": 5}}, ["1", "2", "3", "4", "5"]),
    "run.failed": ({"retry": {"max_attempts": 2, "backoff_seconds": 0}}, [BUSY]),
    "run.expired": ({"delay_seconds": 60, "expires_in_seconds": 60}, []),
}
"""By the last event: the request, and the script of the model."""


@pytest.mark.parametrize("last", BEFALLEN)
async def test_the_data_of_events_of_faults_is_as_listed(last: str) -> None:
    request, steps = BEFALLEN[last]
    cluster = Cluster({"a": steps}, team=solo())
    ref = await cluster.submit(**request)
    cluster.clock.shift += timedelta(minutes=2)
    for _ in range(2):
        worker = cluster.worker()
        await worker.execute(ref)
        await worker.close()
    events = (await cluster.service.events(TENANT, ref.run_id, limit=1000)).data
    assert events[-1].type == last
    check(events)
    told = {event.type for event in events}
    assert told & {"limit.warned", "run.retried", "run.scheduled"}


@pytest.mark.parametrize("name", RUNS)
async def test_the_data_of_events_is_as_listed(name: str) -> None:
    check(await events_of(*RUNS[name]))


def check(events: list[Any]) -> None:
    for event in events:
        listed = ROWS[event.type]
        needed = {key for key in listed if not key.endswith("?")}
        assert needed <= event.data.keys(), event.type
        assert event.data.keys() <= {key.rstrip("?") for key in listed}, event.type


async def test_the_types_of_every_run_are_among_those_seen() -> None:
    seen = {event.type for run in RUNS.values() for event in await events_of(*run)}

    assert seen >= {type_ for type_ in ROWS if type_.startswith(("turn.", "model.", "artifact."))}
    assert seen >= {"tool.call.progressed", "tool.call.failed", "thought.created", "run.failed"}
    assert seen >= {"speaker.selected", "agent.handed_off", "message.created", "run.completed"}
