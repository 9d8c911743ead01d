import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, cast

import pytest
from tests.support.runs import TENANT, Cluster

from teamrun.agents import BaseChatAgent
from teamrun.components.registry import Registry
from teamrun.core.cancellation import CancellationToken
from teamrun.core.protocols import Response
from teamrun.core.refs import RunRef
from teamrun.errors import AgentFailed, UsageError
from teamrun.messages import BaseChatMessage, TextMessage
from teamrun.messages.events import ThoughtEvent
from teamrun.messages.llm import UserMessage
from teamrun.models.base import ChatCompletionClient
from teamrun.runs.durable.team import run_team
from teamrun.runs.durable.wiring import JournalWiring
from teamrun.runs.engine.execution import Program
from teamrun.runs.engine.finish import Finish
from teamrun.runs.engine.journal import Journal
from teamrun.runs.engine.loop import RunLoop
from teamrun.runs.engine.origin import RunOrigin
from teamrun.runs.engine.protocol import CallContext, Outcome
from teamrun.runs.engine.replay import replay
from teamrun.runs.log.entries import End, calls_of
from teamrun.runs.log.limits import Limits
from teamrun.runs.log.spec import RunSpec
from teamrun.runs.service.requests import ForkRequest
from teamrun.runs.service.resources import Run
from teamrun.storage.base import ObjectStore
from teamrun.storage.memory import MemoryStore
from teamrun.teams import RoundRobinGroupChat
from teamrun.testing import ScriptedModel
from teamrun.testing.faults import Fault, FaultStore

MET: list[str] = []
"""The effects of agents outside of their run."""


class Scout(BaseChatAgent):
    """Asks its model twice in a turn, looks around in between, and counts its turns."""

    hangs: asyncio.Event | None = None
    fails: bool = False

    def __init__(
        self, name: str, model_client: ChatCompletionClient, description: str = "Looks around."
    ) -> None:
        super().__init__(name, description)
        self._model = model_client
        self._turns = 0

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        return (TextMessage,)

    async def on_messages(
        self,
        messages: Sequence[BaseChatMessage],
        cancellation_token: CancellationToken | None = None,
    ) -> Response:
        self._turns += 1
        first = await self._ask(f"turn {self._turns}")
        await asyncio.sleep(0)  # of the machine's own loop: run code may not
        MET.append(first)
        if Scout.hangs is not None and not Scout.hangs.is_set():
            Scout.hangs.set()
            await asyncio.Event().wait()
        if Scout.fails:
            raise RuntimeError("fell into a ditch")
        second = await self._ask(f"turn {self._turns}, after {first}")
        thought = ThoughtEvent(source=self.name, content=f"I heard {len(messages)}.")
        answer = TextMessage(source=self.name, content=f"{self._turns}: {first}, {second}")
        return Response(chat_message=answer, inner_messages=[thought])

    async def _ask(self, question: str) -> str:
        result = await self._model.create([UserMessage(content=question, source=self.name)])
        return str(result.content)

    async def on_reset(self, cancellation_token: CancellationToken) -> None:
        self._turns = 0

    async def save_state(self) -> Mapping[str, Any]:
        return {"turns": self._turns}

    async def load_state(self, state: Mapping[str, Any]) -> None:
        self._turns = state["turns"]


class Writer(Scout):
    """The same, and its turns change something outside."""

    effects = "write"


class Chooser(Scout):
    """Begins to ask its model, thinks better of it, and asks something else."""

    async def on_messages(
        self,
        messages: Sequence[BaseChatMessage],
        cancellation_token: CancellationToken | None = None,
    ) -> Response:
        first = asyncio.create_task(self._ask("the first question"))
        await asyncio.sleep(0)
        second = asyncio.create_task(self._ask("a better question"))
        first.cancel()
        return Response(chat_message=TextMessage(source=self.name, content=await second))


class Stubborn(Scout):
    """Asks its model again when its turn is cancelled."""

    refused: asyncio.Event

    async def on_messages(
        self,
        messages: Sequence[BaseChatMessage],
        cancellation_token: CancellationToken | None = None,
    ) -> Response:
        try:
            return await super().on_messages(messages, cancellation_token)
        except asyncio.CancelledError:
            try:
                await self._ask("once more")
            except asyncio.CancelledError:
                Stubborn.refused.set()
            raise


@pytest.fixture(autouse=True)
def nothing_has_happened() -> None:
    MET.clear()
    Scout.hangs, Scout.fails = None, False


def cluster_of(
    answers: list[Any],
    *,
    turns: int = 2,
    agent: str = "scout",
    latency: float = 0,
    store: ObjectStore | None = None,
) -> Cluster:
    team = {
        "type": "round_robin_group_chat",
        "participants": [{"type": "custom_agent", "name": "s", "agent": agent, "model": "m"}],
        "max_turns": turns,
    }
    model = ScriptedModel({"s": answers}, latency=latency, record=True)
    agents: dict[str, Any] = {"scout": Scout, "writer": Writer, "chooser": Chooser}
    agents["stubborn"] = Stubborn
    registry = Registry.of(teams={"team": team}, models={"m": model}, agents=agents)
    return Cluster({}, team={}, model=model, registry=registry, store=store)


async def executed(cluster: Cluster, ref: RunRef, owner: str = "w") -> Run:
    worker = cluster.worker(owner)
    await worker.execute(ref)
    await worker.close()
    return await cluster.service.get(TENANT, ref.run_id)


async def cut_off(cluster: Cluster, **request: Any) -> RunRef:
    """Execute up to the middle of the first turn, then take the worker away."""
    Scout.hangs = asyncio.Event()
    ref = await cluster.submit(**request)
    async with cluster.working(ref, "w1") as (engine, task):
        await asyncio.wait_for(Scout.hangs.wait(), 10)
        engine.abort()
        assert await asyncio.wait_for(task, 10) is Finish.YIELDED
    return ref


async def texts(cluster: Cluster, ref: RunRef) -> list[str]:
    result = await cluster.service.result(TENANT, ref.run_id)
    return [message["content"] for message in result.messages]


async def test_a_turn_of_an_own_agent_is_one_call_with_its_models_calls_inside() -> None:
    cluster = cluster_of(["trees", "a hut", "smoke", "a man"])
    ref = await cluster.submit()
    run = await executed(cluster, ref)
    assert run.status == "completed"
    assert await texts(cluster, ref) == ["go", "1: trees, a hut", "2: smoke, a man"]
    calls = [call for entry in await cluster.entries(ref) for call in calls_of(entry.body)]
    assert [(call.call_id, call.within) for call in calls] == [
        ("team/s/agent:0/model:0", "team/s/agent:0"),
        ("team/s/agent:0/model:1", "team/s/agent:0"),
        ("team/s/agent:0", None),
        ("team/s/agent:1/model:2", "team/s/agent:1"),
        ("team/s/agent:1/model:3", "team/s/agent:1"),
        ("team/s/agent:1", None),
    ]
    assert not any(call.unawaited for call in calls)
    assert run.usage.model_calls == 4
    assert run.usage.by_agent["s"].model_calls == 4
    types = await cluster.event_types(ref)
    assert types.count("model.call.started") == types.count("model.call.completed") == 4
    assert types.count("agent.call.completed") == types.count("thought.created") == 2


async def test_a_turn_that_was_cut_off_is_made_again_and_recorded_answers_are_free() -> None:
    cluster = cluster_of(["trees", "a hut", "smoke", "a man"])
    ref = await cut_off(cluster)
    run = await executed(cluster, ref, "w2")
    assert run.status == "completed"
    assert await texts(cluster, ref) == ["go", "1: trees, a hut", "2: smoke, a man"]
    assert run.usage.model_calls == 4
    assert MET == ["trees", "trees", "smoke"]


async def test_a_call_inside_a_turn_starts_when_the_one_before_it_is_durable() -> None:
    store = FaultStore(MemoryStore())
    cluster = cluster_of(["trees", "a hut"], turns=1, store=store)
    ref = await cluster.submit()
    first = store.plan(Fault(outcome="held", method="put_new", key="*/log/000002.json"))
    async with cluster.working(ref) as (_, finished):
        await first.reached.wait()
        for _ in range(100):
            await asyncio.sleep(0)
        assert (MET, len(cluster.model.calls)) == (["trees"], 1)
        first.release.set()
        assert await finished is Finish.ENDED
    assert len(cluster.model.calls) == 2


async def test_the_state_of_a_custom_agent_continues_in_another_worker_and_in_forks() -> None:
    cluster = cluster_of(["1a", "1b", "2a", "2b", "3a", "3b"], turns=3)
    ref = await cluster.submit()
    await executed(cluster, ref)
    events = (await cluster.service.events(TENANT, ref.run_id, limit=99)).data
    [first, *_] = [event.seq for event in events if event.type == "agent.call.completed"]
    MET.clear()
    request = ForkRequest(after_seq=first)
    child = (await cluster.service.fork(TENANT, ref.run_id, request)).run
    await executed(cluster, RunRef(TENANT, child.id), "w2")
    told = await texts(cluster, RunRef(TENANT, child.id))
    assert told == ["go", "1: 1a, 1b", "2: 2a, 2b", "3: 3a, 3b"]
    assert MET == ["2a", "3a"]


async def test_a_record_with_own_agents_can_be_replayed_for_nothing() -> None:
    cluster = cluster_of(["trees", "a hut", "smoke", "a man"])
    ref = await cluster.submit()
    await executed(cluster, ref)
    MET.clear()
    state = await cluster.log(ref).state()
    assert state is not None
    spec, registry = state.spec, cluster.registry
    found = await replay(
        cluster.log(ref), lambda journal: run_team(journal, spec, registry), cluster.clock
    )
    assert (found, MET) == (None, [])


async def test_an_own_agent_that_raises_fails_the_run() -> None:
    Scout.fails = True
    cluster = cluster_of(["trees"])
    ref = await cluster.submit()
    run = await executed(cluster, ref)
    assert (run.status, run.stop_code) == ("failed", "agent_failed")
    assert run.stop_reason == "fell into a ditch"


async def test_a_model_that_fails_inside_of_a_turn_is_asked_again_with_the_run() -> None:
    busy = {"error": {"message": "overloaded", "status_code": 529, "retryable": True}}
    cluster = cluster_of(["trees", busy, "a hut"], turns=1)
    ref = await cluster.submit(retry={"max_attempts": 2, "backoff_seconds": 0})
    await executed(cluster, ref, "w1")
    run = await executed(cluster, ref, "w2")
    assert (run.status, run.usage.model_calls) == ("completed", 3)
    assert await texts(cluster, ref) == ["go", "1: trees, a hut"]


async def test_a_turn_that_writes_is_not_made_again() -> None:
    cluster = cluster_of(["trees"], agent="writer")
    ref = await cut_off(cluster)
    run = await executed(cluster, ref, "w2")
    assert (run.status, run.stop_code) == ("failed", "outcome_unknown")
    assert run.unknown_outcomes == ["team/s/agent:0"]
    assert MET == ["trees"]


async def test_limits_apply_inside_of_a_turn() -> None:
    cluster = cluster_of(["trees", "a hut"], turns=1)
    ref = await cluster.submit(limits={"max_model_calls": 1, "on_limit": "pause"})
    run = await executed(cluster, ref, "w1")
    assert (run.status, run.usage.model_calls) == ("paused", 1)
    limits = Limits(max_model_calls=2)
    await cluster.service.resume(TENANT, ref.run_id, limits=limits)
    run = await executed(cluster, ref, "w2")
    assert (run.status, run.usage.model_calls) == ("completed", 2)

    cluster = cluster_of(["trees", "a hut"])
    ref = await cluster.submit(limits={"max_model_calls": 1})
    run = await executed(cluster, ref)
    assert (run.status, run.stop_code) == ("incomplete", "max_model_calls")


async def test_a_call_that_is_cancelled_leaves_its_place_under_a_limit_to_the_next() -> None:
    cluster = cluster_of(["fog", "smoke"], agent="chooser", turns=1, latency=0.05)
    ref = await cluster.submit(limits={"max_model_calls": 1})
    async with asyncio.timeout(10):
        run = await executed(cluster, ref)
    assert (run.status, run.usage.model_calls) == ("completed", 1)


async def test_a_cancel_reaches_into_a_turn() -> None:
    Scout.hangs = asyncio.Event()
    cluster = cluster_of(["trees"])
    ref = await cluster.submit()
    async with cluster.working(ref) as (_, task):
        await asyncio.wait_for(Scout.hangs.wait(), 10)
        await cluster.service.cancel(TENANT, ref.run_id)
        assert await asyncio.wait_for(task, 10) is Finish.ENDED
    run = await cluster.service.get(TENANT, ref.run_id)
    assert (run.status, run.usage.model_calls) == ("cancelled", 1)


async def test_the_model_client_of_a_custom_agent_is_for_its_turns() -> None:
    cluster = cluster_of([])
    journal = Journal(RunLoop(), RunOrigin("00", cluster.clock.now()))
    client = JournalWiring(journal).inner_model("t/s", "m", cluster.model)
    with pytest.raises(UsageError) as caught:
        await client.create([UserMessage(content="now?", source="user")])
    assert caught.value.data == {"agent": "t/s"}


class Odd(BaseChatAgent):
    """Answers with the test's value."""

    answer: Any = None

    def __init__(self, name: str, description: str = "Odd.") -> None:
        super().__init__(name, description)

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        return (TextMessage,)

    async def on_messages(self, messages: Any, cancellation_token: Any = None) -> Any:
        return Odd.answer

    async def on_reset(self, cancellation_token: Any = None) -> None: ...


@pytest.mark.parametrize("where", ["run", "team", "agent"])
@pytest.mark.parametrize(
    "answer",
    [None, "text", 7, Response(chat_message=cast("Any", "text"))],
    ids=lambda answer: type(answer).__name__,
)
async def test_an_own_agent_that_returns_no_response_fails_with_its_name(
    answer: Any, where: str
) -> None:
    Odd.answer = answer
    agent = Odd("odd", "Odd.")
    if where != "run":
        runner = agent if where == "agent" else RoundRobinGroupChat([agent], max_turns=1)
        with pytest.raises(AgentFailed):
            await runner.run(task="go")
        return
    team = {
        "type": "round_robin_group_chat",
        "participants": [{"type": "custom_agent", "name": "odd", "agent": "odd"}],
        "max_turns": 1,
    }
    registry = Registry.of(teams={"team": team}, agents={"odd": Odd})
    cluster = Cluster({}, team=team, registry=registry)
    run = await executed(cluster, await cluster.submit())
    assert (run.status, run.stop_code) == ("failed", "agent_failed")
    assert "'odd'" in str(run.stop_reason)


async def test_a_turn_of_an_execution_that_is_over_makes_no_more_calls() -> None:
    Stubborn.refused = asyncio.Event()
    Scout.hangs = asyncio.Event()
    cluster = cluster_of(["one", "two"], agent="stubborn")
    ref = await cluster.submit()
    worker = cluster.worker()
    task = asyncio.create_task(worker.execute(ref))
    await asyncio.wait_for(Scout.hangs.wait(), 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(Stubborn.refused.wait(), 10)
    await worker.close()


async def test_calls_beside_a_turn_at_its_limit_complete_before_the_turn_is_cut_short() -> None:
    made = list[str]()
    begun = asyncio.Event()

    async def model(desk: CallContext) -> Outcome:
        made.append(desk.info.call_id)
        begun.set()
        for _ in range(50):  # the engine notices meanwhile that the turn waits
            await asyncio.sleep(0)
        return Outcome(value="trees")

    async def turn(desk: CallContext) -> Outcome:
        await begun.wait()
        return await desk.make("model", "m", 0, model, "")

    async def program(journal: Journal) -> End:
        calls = [
            journal.call("team/a", "model", "m", 0, model),
            journal.call("team/b", "agent", "b", 0, turn),
        ]
        await asyncio.gather(*calls)
        raise AssertionError("the turn cannot complete")

    cluster = cluster_of([])
    ref = await cluster.submit(limits={"max_model_calls": 1})

    def program_of(_: RunSpec) -> Program:
        return program

    finish = await cluster.worker(program=program_of).execute(ref)
    run = await cluster.service.get(TENANT, ref.run_id)
    assert (finish, run.status, run.stop_code) == (Finish.ENDED, "incomplete", "max_model_calls")
    assert (made, run.usage.model_calls) == (["team/a/model:0"], 1)
