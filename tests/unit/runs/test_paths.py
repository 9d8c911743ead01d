"""Messages and events of nested teams and of delegates say where they come from."""

from collections.abc import AsyncGenerator, Sequence
from typing import Any

import pytest
from tests.support.runs import TENANT, Cluster, solo

from teamrun.agents import AssistantAgent, BaseChatAgent
from teamrun.components.registry import Registry
from teamrun.core.cancellation import CancellationToken
from teamrun.core.protocols import AnyMessage, Response
from teamrun.messages import BaseChatMessage, TextMessage
from teamrun.runs.log.entries import LoggedEvent
from teamrun.teams import RoundRobinGroupChat
from teamrun.testing import ScriptedModel
from teamrun.threads.requests import ThreadRequest
from teamrun.tools import AgentTool

Path = list[str] | None

ADD: dict[str, Any] = {"tool_calls": [{"name": "add", "arguments": {"a": 1}}]}


def add(a: int) -> int:
    """Add one."""
    return a + 1


def agent(name: str, **options: Any) -> dict[str, Any]:
    return {"type": "assistant_agent", "name": name, "model": "m", **options}


def team(*participants: Any, name: str = "pair", **options: Any) -> dict[str, Any]:
    members = {"name": name, "participants": [*participants], "max_turns": len(participants)}
    return {"type": "round_robin_group_chat", **members, **options}


def ask(tool: str) -> dict[str, Any]:
    return {"tool_calls": [{"name": tool, "arguments": {"task": "write"}}]}


def lead(tool: Any) -> dict[str, Any]:
    return agent("lead", tools=[tool], reflect_on_tool_use=True)


PAIR = team(agent("writer"), agent("critic"))
SCRIPT: dict[str, Any] = {
    "writer": ["w"] * 3,
    "critic": ["c"] * 3,
    "lead": [ask("pair"), "All done."],
    "head": ["So."],
    "boss": [ask("lead"), "End."],
}
INSIDE = [("user", "write"), ("writer", "w"), ("critic", "c")]


def inside(*path: str, task: bool = True) -> list[tuple[str, str, Path]]:
    return [(source, text, [*path]) for source, text in (INSIDE if task else INSIDE[1:])]


CASES: dict[str, tuple[dict[str, Any], list[tuple[str, str, Path]]]] = {
    "flat": (PAIR, [("writer", "w", None), ("critic", "c", None)]),
    "team as a tool": (
        team(lead({"team": PAIR})),
        [*inside("lead", "pair"), ("lead", "All done.", None)],
    ),
    "agent as a tool": (
        team(lead({"agent": agent("pair", model="w")})),
        [
            ("user", "write", ["lead", "pair"]),
            ("pair", "w", ["lead", "pair"]),
            ("lead", "All done.", None),
        ],
    ),
    "nested team": (
        team(agent("head"), PAIR),
        [("head", "So.", None), *inside("pair", task=False)],
    ),
    "team inside of an agent": (
        team({"type": "society_of_mind_agent", "name": "head", "model": "m", "team": PAIR}),
        [*inside("head", "pair", task=False), ("head", "So.", None)],
    ),
    "tool of an agent in a nested team": (
        team(team(lead({"team": PAIR}), name="inner")),
        [*inside("inner", "lead", "pair"), ("lead", "All done.", ["inner"])],
    ),
    "team as a tool of an agent as a tool": (
        team(agent("boss", tools=[{"agent": lead({"team": PAIR})}], reflect_on_tool_use=True)),
        [
            ("user", "write", ["boss", "lead"]),
            *inside("boss", "lead", "lead", "pair"),
            ("lead", "All done.", ["boss", "lead"]),
            ("boss", "End.", None),
        ],
    ),
}
each_case = pytest.mark.parametrize(("definition", "said"), CASES.values(), ids=CASES)


def cluster_of(definition: dict[str, Any]) -> Cluster:
    models = {"m": ScriptedModel(SCRIPT), "w": ScriptedModel(["w"])}
    registry = Registry.of(teams={"team": definition}, models=models)
    return Cluster({}, team=definition, registry=registry)


async def events_of(cluster: Cluster, ref: Any) -> list[LoggedEvent]:
    return [event for entry in await cluster.entries(ref) for event in entry.events]


def read(message: Any) -> tuple[str, str, Path]:
    return message["source"], message["content"], message.get("path")


@each_case
async def test_a_message_says_what_encloses_its_sender(
    definition: dict[str, Any], said: list[tuple[str, str, Path]]
) -> None:
    cluster = cluster_of(definition)
    thread = (await cluster.threads.create(TENANT, ThreadRequest())).thread.id
    ref = await cluster.submit("Begin", thread_id=thread)
    worker = cluster.worker()
    await cluster.queue.deliver(worker.execute)
    expected = [("user", "Begin", None), *said]

    created = [
        event.data["message"]
        for event in await events_of(cluster, ref)
        if event.type == "message.created"
    ]
    assert [read(message) for message in created] == expected
    result = await cluster.service.result(TENANT, ref.run_id)
    assert result.messages == created
    page = await cluster.threads.messages(TENANT, thread, limit=100)
    assert [each.message for each in page.data] == created
    assert {frozenset(message) - {"path"} for message in created} == {frozenset(created[0])}


async def test_events_inside_have_the_path() -> None:
    inner = AssistantAgent(
        "helper",
        ScriptedModel([ADD, "two"]),
        tools=[add],
        reflect_on_tool_use=True,
    )
    steps = [ask("helper"), ask("nothing"), "DONE"]
    cluster = Cluster(
        {"a": steps},
        team=solo("helper", reflect_on_tool_use=True, max_tool_iterations=2),
        tools=[AgentTool(inner)],
    )
    ref = await cluster.submit()
    await cluster.worker().execute(ref)

    requested = [e for e in await events_of(cluster, ref) if e.type == "tool.call.requested"]
    assert [(e.agent, e.data["tool"], e.data.get("path")) for e in requested] == [
        ("a", "helper", None),
        ("helper", "add", ["a", "helper"]),
        ("a", "nothing", None),
    ]


@pytest.mark.parametrize(
    ("member", "heard"),
    [
        (lead({"team": PAIR}), ["Begin", "All done.", "Again"]),
        (PAIR, ["Begin", "w", "c", "Again"]),
    ],
    ids=["team as a tool", "nested team"],
)
async def test_what_an_interrupted_run_has_delegated_is_no_message_to_the_next(
    member: dict[str, Any], heard: list[str]
) -> None:
    last = team(member, agent("last", model="l"), max_turns=2)
    model = ScriptedModel(["L"], record=True)
    models = {"m": ScriptedModel(SCRIPT), "l": model}
    cluster = Cluster({}, team=last, registry=Registry.of(teams={"team": last}, models=models))
    thread = (await cluster.threads.create(TENANT, ThreadRequest())).thread.id
    worker = cluster.worker()
    one_turn = {"max_turns": 1, "on_limit": "pause"}
    await cluster.submit("Begin", thread_id=thread, limits=one_turn)
    await cluster.queue.deliver(worker.execute)
    ref = await cluster.submit("Again", thread_id=thread, on_busy_thread="interrupt")
    await cluster.queue.deliver(worker.execute)

    result = await cluster.service.result(TENANT, ref.run_id)
    count = len(heard)
    assert [message["content"] for message in result.messages[:count]] == heard
    assert not any("path" in message for message in result.messages[:count])


class Wrapper(BaseChatAgent):
    """An agent of the user's own, which lets a team work."""

    def __init__(self, name: str) -> None:
        super().__init__(name, "Own.")

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        return (TextMessage,)

    async def on_messages(
        self,
        messages: Sequence[BaseChatMessage],
        cancellation_token: CancellationToken | None = None,
    ) -> Response:
        raise NotImplementedError

    async def on_messages_stream(
        self,
        messages: Sequence[BaseChatMessage],
        cancellation_token: CancellationToken | None = None,
    ) -> AsyncGenerator[AnyMessage | Response, None]:
        inner = RoundRobinGroupChat([AssistantAgent("w", ScriptedModel(["w"]))], max_turns=1)
        async for item in inner.run_stream(task="write"):
            if isinstance(item, BaseChatMessage):
                yield item
        yield TextMessage(source=self.name, content="Hm.")
        yield Response(chat_message=TextMessage(source=self.name, content="DONE"))

    async def on_reset(self, cancellation_token: CancellationToken | None = None) -> None: ...


async def test_what_an_agent_of_your_own_lets_others_say_is_inside_of_it() -> None:
    definition = team({"type": "custom_agent", "name": "own", "agent": "wrapper"})
    registry = Registry.of(teams={"team": definition}, agents={"wrapper": Wrapper})
    cluster = Cluster({}, team=definition, registry=registry)
    ref = await cluster.submit("Begin")
    await cluster.worker().execute(ref)

    result = await cluster.service.result(TENANT, ref.run_id)
    assert [read(message) for message in result.messages] == [
        ("user", "Begin", None),
        ("user", "write", ["own"]),
        ("w", "w", ["own"]),
        ("own", "Hm.", None),
        ("own", "DONE", None),
    ]
