from datetime import timedelta
from typing import Any, ClassVar

import pytest
from tests.support.runs import TENANT, Cluster, duo, solo

from teamrun.components.registry import Registry
from teamrun.core.refs import RunRef
from teamrun.errors import DefinitionError, NoSuchPoint, RunNotFinished, RunNotFound
from teamrun.messages.llm import CreateResult
from teamrun.runs.log.spec import InputMessage
from teamrun.runs.service.requests import Answer, ForkRequest, Overrides, RetryRequest, RunRequest
from teamrun.runs.service.resources import Run
from teamrun.runs.service.service import RunService
from teamrun.testing import ScriptedModel
from teamrun.tools.context import ToolContext
from teamrun.tools.function import FunctionTool

REFUSED = {"error": {"message": "no quota", "status_code": 402, "retryable": False}}


async def executed(cluster: Cluster, ref: RunRef, owner: str = "w") -> Run:
    worker = cluster.worker(owner)
    await worker.execute(ref)
    await worker.close()
    return await cluster.service.get(TENANT, ref.run_id)


async def texts(cluster: Cluster, run: Run) -> list[str]:
    return [m["content"] for m in (await cluster.service.result(TENANT, run.id)).messages]


async def seq_of(cluster: Cluster, ref: RunRef, text: str) -> int:
    page = await cluster.service.events(TENANT, ref.run_id, limit=999)
    return next(
        e.seq
        for e in page.data
        if e.type == "message.created" and e.data["message"]["content"] == text
    )


def numbers() -> dict[str, list[Any]]:
    return {"a": ["1", "3", "5"], "b": ["2", "4", "6"]}


async def test_a_fork_shares_the_past_and_calls_nothing_of_it_again() -> None:
    cluster = Cluster(numbers(), team=duo(6))
    ref = await cluster.submit()
    await executed(cluster, ref)
    at = await seq_of(cluster, ref, "3")

    other = Cluster(
        {"a": ["never", "never", "V"], "b": ["never", "IV", "VI"]},
        team=duo(6),
        store=cluster.store,
    )
    fork = await other.service.fork(TENANT, ref.run_id, ForkRequest(after_seq=at))
    assert fork.run.forked_from is not None
    assert (fork.run.parent_run_id, fork.run.forked_from.after_seq) == (ref.run_id, at)
    child = await executed(other, RunRef(TENANT, fork.run.id))
    assert await texts(other, child) == ["go", "1", "2", "3", "IV", "V", "VI"]
    assert child.usage.model_calls == 3, "what is shared is not billed"
    events = (await other.service.events(TENANT, child.id, limit=999)).data
    assert [e.seq for e in events] == list(range(1, len(events) + 1))
    types = [e.type for e in events]
    assert types.count("run.queued") == types.count("run.started") == 1


async def test_a_fork_of_a_fork_shares_both_pasts() -> None:
    cluster = Cluster(numbers(), team=duo(6))
    ref = await cluster.submit()
    await executed(cluster, ref)
    service = cluster.service
    first = await service.fork(
        TENANT, ref.run_id, ForkRequest(after_seq=await seq_of(cluster, ref, "2"))
    )
    middle = RunRef(TENANT, first.run.id)
    await executed(cluster, middle)
    second = await service.fork(
        TENANT, middle.run_id, ForkRequest(after_seq=await seq_of(cluster, middle, "4"))
    )
    child = await executed(cluster, RunRef(TENANT, second.run.id))
    assert await texts(cluster, child) == ["go", "1", "2", "3", "4", "5", "6"]
    assert child.usage.model_calls == 2
    third = await service.fork(TENANT, second.run.id, ForkRequest(after_seq=1))
    assert (await executed(cluster, RunRef(TENANT, third.run.id))).status == "completed"


@pytest.mark.parametrize("kind", ["round_robin_group_chat", "selector_group_chat"])
async def test_the_message_of_a_fork_is_delivered_before_the_next_turn(kind: str) -> None:
    script = {**numbers(), "selector": ["a", "b", "a", "b"]}
    team = {**duo(4), "type": kind}
    if kind.startswith("selector"):
        team["model"] = "m"
    cluster = Cluster(script, team=team)
    ref = await cluster.submit()
    await executed(cluster, ref)
    events = (await cluster.service.events(TENANT, ref.run_id, limit=999)).data
    at = await seq_of(cluster, ref, "2")
    turn = next(e.seq for e in events if e.seq > at and e.type == "turn.started")
    for after_seq in range(at - 1, turn + 2):
        said = ForkRequest(after_seq=after_seq, input=InputMessage(content="in Latin"))
        fork = await cluster.service.fork(TENANT, ref.run_id, said)
        child = await executed(cluster, RunRef(TENANT, fork.run.id))
        assert child.status == "completed", after_seq
        assert await texts(cluster, child) == ["go", "1", "2", "in Latin", "3", "4"], after_seq
        told = (await cluster.service.events(TENANT, child.id, limit=999)).data
        types = [e.type for e in told if not e.type.startswith("run.")]
        assert types == [
            *(e.type for e in events[:at] if not e.type.startswith("run.")),
            "turn.completed",
            "message.created",
            *(e.type for e in events[at + 1 :] if not e.type.startswith("run.")),
        ]
        assert [e.seq for e in told] == list(range(1, len(told) + 1))


@pytest.mark.parametrize("begun", [False, True])
async def test_the_message_of_a_fork_at_the_beginning_follows_the_task(
    begun: bool,
) -> None:
    cluster = Cluster(numbers(), team=duo(2))
    ref = await cluster.submit()
    if begun:
        await executed(cluster, ref)
    said = ForkRequest(after_seq=2 if begun else 1, input=InputMessage(content="in Latin"))
    fork = await cluster.service.fork(TENANT, ref.run_id, said)
    child = await executed(cluster, RunRef(TENANT, fork.run.id))
    assert await texts(cluster, child) == ["go", "in Latin", "1", "2"]


async def test_a_fork_has_the_files_of_its_past() -> None:
    def write(context: ToolContext) -> str:
        """Write."""
        context.artifacts.write("note.txt", "kept")
        return "written"

    script: dict[str, list[Any]] = {
        "a": [{"tool_calls": [{"name": "write", "arguments": {}}]}, "DONE"]
    }
    cluster = Cluster(script, team=solo("write"), tools=[FunctionTool(write)])
    ref = await cluster.submit()
    await executed(cluster, ref)
    at = len((await cluster.service.events(TENANT, ref.run_id, limit=999)).data)
    fork = await cluster.service.fork(TENANT, ref.run_id, ForkRequest(after_seq=at))
    _, content = await cluster.service.artifact(TENANT, fork.run.id, "note.txt")
    assert content == b"kept"
    assert (await executed(cluster, RunRef(TENANT, fork.run.id))).usage.tool_calls == 0


async def test_a_fork_before_an_answer_asks_again() -> None:
    team = solo(handoffs=[{"target": "human"}])
    team["termination"] = {
        "type": "or",
        "conditions": [
            {"type": "handoff", "target": "human"},
            {"type": "text_mention", "text": "DONE", "sources": ["a"]},
        ],
    }
    hand_over: dict[str, Any] = {"tool_calls": [{"name": "transfer_to_human", "arguments": {}}]}
    cluster = Cluster({"a": [hand_over, "DONE"]}, team=team)
    ref = await cluster.submit()
    run = await executed(cluster, ref)
    asked = len((await cluster.service.events(TENANT, ref.run_id, limit=999)).data)
    answer = Answer(action_id=run.required_actions[0].id, content="yes")
    await cluster.service.answer(TENANT, ref.run_id, answer)
    await executed(cluster, ref)
    fork = await cluster.service.fork(TENANT, ref.run_id, ForkRequest(after_seq=asked))
    child = await executed(cluster, RunRef(TENANT, fork.run.id))
    assert child.status == "input_required"
    assert child.usage.model_calls == 0
    await cluster.service.answer(
        TENANT, child.id, Answer(action_id=child.required_actions[0].id, content="no")
    )
    child = await executed(cluster, RunRef(TENANT, child.id), "w2")
    assert child.status == "completed"
    assert "no" in await texts(cluster, child)


@pytest.mark.parametrize("after_seq", [1, 999])
async def test_a_fork_is_at_an_event_of_the_run(after_seq: int) -> None:
    cluster = Cluster(numbers(), team=duo(2))
    ref = await cluster.submit()
    await executed(cluster, ref)
    forking = cluster.service.fork(TENANT, ref.run_id, ForkRequest(after_seq=after_seq))
    if after_seq == 1:
        child = RunRef(TENANT, (await forking).run.id)
        assert (await executed(cluster, child)).usage.model_calls == 2
        return
    with pytest.raises(NoSuchPoint) as caught:
        await forking
    assert caught.value.pointer == "/after_seq"


async def test_a_retry_from_here_makes_only_the_failed_call_again() -> None:
    cluster = Cluster({"a": ["one", REFUSED]}, team=solo())
    ref = await cluster.submit()
    assert (await executed(cluster, ref)).status == "failed"
    healed = Cluster({"a": ["never", "DONE"]}, team=solo(), store=cluster.store)
    again = await healed.service.retry(
        TENANT, ref.run_id, RetryRequest.model_validate({"from": "here"})
    )
    assert again.run.parent_run_id == ref.run_id
    child = await executed(healed, RunRef(TENANT, again.run.id))
    assert (child.status, child.usage.model_calls) == ("completed", 1)
    assert await texts(healed, child) == ["go", "one", "DONE"]
    assert "model.call.failed" not in await healed.event_types(RunRef(TENANT, child.id))


async def test_a_retry_from_the_start_shares_nothing() -> None:
    cluster = Cluster({"a": ["one", REFUSED]}, team=solo())
    ref = await cluster.submit()
    await executed(cluster, ref)
    healed = Cluster({"a": ["uno", "DONE"]}, team=solo(), store=cluster.store)
    again = await healed.service.retry(TENANT, ref.run_id, RetryRequest.model_validate({}))
    child = await executed(healed, RunRef(TENANT, again.run.id))
    assert await texts(healed, child) == ["go", "uno", "DONE"]


async def test_a_retry_has_time_of_its_own_to_begin() -> None:
    cluster = Cluster({"a": ["DONE"]}, team=solo())
    soon = cluster.clock.now() + timedelta(minutes=30)
    ref = await cluster.submit(expires_in_seconds=60, deadline=soon)
    cluster.clock.shift += timedelta(minutes=2)
    assert (await executed(cluster, ref)).status == "expired"
    service, request = cluster.service, RetryRequest.model_validate({})
    early = (await service.retry(TENANT, ref.run_id, request)).run
    assert early.expires_at == early.created_at + timedelta(seconds=60)
    assert early.deadline == soon, "it lies ahead still"
    assert (await executed(cluster, RunRef(TENANT, early.id))).status == "completed"
    cluster.clock.shift += timedelta(hours=1)
    late = (await service.retry(TENANT, ref.run_id, request)).run
    assert late.deadline is None
    assert (await executed(cluster, RunRef(TENANT, late.id))).status == "completed"


async def test_a_fork_continues_where_a_limit_has_cut_its_parent() -> None:
    cluster = Cluster(numbers(), team=duo(6))
    ref = await cluster.submit(limits={"max_model_calls": 2})
    assert (await executed(cluster, ref)).status == "incomplete"
    last = len((await cluster.service.events(TENANT, ref.run_id, limit=999)).data)
    fork = await cluster.service.fork(TENANT, ref.run_id, ForkRequest(after_seq=last))
    child = await executed(cluster, RunRef(TENANT, fork.run.id))
    assert (child.status, child.usage.model_calls) == ("completed", 4)
    assert await texts(cluster, child) == ["go", "1", "2", "3", "4", "5", "6"]


async def test_a_repeated_retry_is_the_same_run() -> None:
    cluster = Cluster({"a": ["DONE"]}, team=solo())
    ref = await cluster.submit()
    await executed(cluster, ref)
    request = RetryRequest.model_validate({"from": "start"})
    service = cluster.service
    first = await service.retry(TENANT, ref.run_id, request, idempotency_key="k")
    second = await service.retry(TENANT, ref.run_id, request, idempotency_key="k")
    assert (first.run.id, second.replayed) == (second.run.id, True)


async def test_a_run_that_cannot_be_retried_is_an_error() -> None:
    cluster = Cluster({"a": ["DONE"]}, team=solo())
    ref = await cluster.submit()
    here = RetryRequest.model_validate({"from": "here"})
    with pytest.raises(RunNotFinished):
        await cluster.service.retry(TENANT, ref.run_id, here)
    await executed(cluster, ref)
    with pytest.raises(NoSuchPoint) as caught:
        await cluster.service.retry(TENANT, ref.run_id, here)
    assert caught.value.pointer == "/from"
    with pytest.raises(RunNotFound):
        await cluster.service.retry(TENANT, "run_0", here)
    with pytest.raises(RunNotFound):
        await cluster.service.fork("another", ref.run_id, ForkRequest(after_seq=1))


async def test_a_fork_that_has_not_begun_is_forked_at_its_only_event() -> None:
    cluster = Cluster(numbers(), team=duo(6))
    ref = await cluster.submit()
    fork = await cluster.service.fork(TENANT, ref.run_id, ForkRequest(after_seq=1))
    again = await cluster.service.fork(TENANT, fork.run.id, ForkRequest(after_seq=1))
    with pytest.raises(NoSuchPoint):
        await cluster.service.fork(TENANT, fork.run.id, ForkRequest(after_seq=2))
    child = await executed(cluster, RunRef(TENANT, again.run.id))
    assert await texts(cluster, child) == ["go", "1", "2", "3", "4", "5", "6"]


async def test_a_run_has_another_model_and_fewer_turns_than_its_team() -> None:
    cluster = Cluster({"a": ["never"], "b": ["never"]}, team=duo(6))
    registry = Registry.of(
        teams={"team": duo(6)}, models={"m": cluster.model, "big": ScriptedModel(numbers())}
    )
    cluster.registry = registry
    service = RunService(
        store=cluster.store,
        live=cluster.live,
        dispatcher=cluster.queue,
        registry=registry,
        clock=cluster.clock,
    )
    overrides = Overrides(model="big", max_turns=3)
    request = RunRequest(team="team", input="go", overrides=overrides)
    plain = RunRequest(team="team", input="go")
    run = (await service.submit(TENANT, request)).run
    other = (await service.submit(TENANT, plain)).run
    assert run.team.name == other.team.name
    assert run.team.digest != other.team.digest
    run = await executed(cluster, RunRef(TENANT, run.id))
    assert await texts(cluster, run) == ["go", "1", "2", "3"]

    at = await seq_of(cluster, RunRef(TENANT, run.id), "3")
    forked = await service.fork(
        TENANT, run.id, ForkRequest(after_seq=at, overrides=Overrides(max_turns=4))
    )
    child = await executed(cluster, RunRef(TENANT, forked.run.id))
    assert await texts(cluster, child) == ["go", "1", "2", "3", "4"]


async def test_the_temperature_of_a_run_goes_with_every_call_before_that_of_an_agent() -> None:
    class Listening(ScriptedModel):
        heard: ClassVar[list[Any]] = []

        async def create(self, messages: Any, **options: Any) -> CreateResult:
            self.heard.append(options["extra_create_args"])
            return await super().create(messages, **options)

    model = Listening({"a": ["1"], "b": ["2"]})
    team = duo(2)
    team["participants"][0]["temperature"] = 0.9
    cluster = Cluster({}, team=team, model=model)
    ref = await cluster.submit(overrides={"temperature": 0.2})
    assert (await executed(cluster, ref)).status == "completed"
    assert model.heard == [{"temperature": 0.2}] * 2


async def test_overrides_that_cannot_be_are_refused() -> None:
    cluster = Cluster(numbers(), team=duo(4))
    with pytest.raises(DefinitionError) as caught:
        await cluster.submit(overrides={"model": "mm"})
    assert (caught.value.code, caught.value.pointer) == ("unknown_model", "/overrides/model")
    ref = await cluster.submit()
    await executed(cluster, ref)
    at = await seq_of(cluster, ref, "3")
    request = ForkRequest(after_seq=at, overrides=Overrides(max_turns=2))
    with pytest.raises(DefinitionError) as caught:
        await cluster.service.fork(TENANT, ref.run_id, request)
    assert caught.value.pointer == "/overrides/max_turns"
