"""The trace of a run, and the spans that its log describes."""

from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from tests.support.mortal_store import MortalStore, until_dead
from tests.support.runs import TENANT, Cluster, duo, solo

from teamrun.core.refs import RunRef
from teamrun.runs.log.traces import NamedModel, RunTraces, Span, traceparent_of
from teamrun.runs.service.requests import RetryRequest, RunRequest
from teamrun.storage.memory import MemoryStore
from teamrun.tools import FunctionTool, Tool

GIVEN = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
TRACE, PARENT = GIVEN.split("-")[1:3]
USED: dict[str, Any] = {"usage": {"prompt_tokens": 3, "completion_tokens": 2}}


def work() -> str:
    """Work."""
    return "a secret result"


def fail() -> str:
    """Fail."""
    raise ValueError("a secret reason")


TOOLS: list[Tool] = [FunctionTool(work, "Work."), FunctionTool(fail, "Fail.")]
CALLS: Any = {"tool_calls": [{"name": "work"}, {"name": "fail"}], **USED}


class Collected:
    """The spans of the processes of a test."""

    def __init__(self) -> None:
        self.spans: list[Span] = []

    def observer(self) -> RunTraces:
        return RunTraces(
            self.spans.append, lambda profile: NamedModel("openai", f"model-{profile}")
        )

    def tree(self) -> list[tuple[str, str]]:
        """The name of each span, and that of its parent if that is known."""
        names = {span.span_id: span.name for span in self.spans}
        return sorted((span.name, names.get(str(span.parent_id), "")) for span in self.spans)


async def executed(
    found: Collected, script: dict[str, list[Any]], team: Any, *, traceparent: str | None = None
) -> tuple[Cluster, RunRef]:
    cluster = Cluster(script, team=team, tools=TOOLS, observe=[found.observer().appended])
    request = RunRequest.model_validate({"team": "team", "input": "a secret task"})
    submitted = await cluster.service.submit(TENANT, request, traceparent=traceparent)
    ref = RunRef(TENANT, submitted.run.id)
    await cluster.worker().execute(ref)
    return cluster, ref


async def test_a_run_is_a_tree_of_spans_without_content() -> None:
    found = Collected()
    team = solo("work", "fail", max_tool_iterations=2)
    script = {"a": [CALLS, {"content": "a secret DONE", **USED}]}
    cluster, ref = await executed(found, script, team, traceparent=GIVEN)

    assert found.tree() == [
        ("chat model-m", "invoke_agent a"),
        ("chat model-m", "invoke_agent a"),
        ("execute_tool fail", "invoke_agent a"),
        ("execute_tool work", "invoke_agent a"),
        ("invoke_agent a", "invoke_workflow team"),
        ("invoke_workflow team", ""),
    ]
    by_name = {span.name: span for span in found.spans}
    root, agent = by_name["invoke_workflow team"], by_name["invoke_agent a"]
    chat, failed = by_name["chat model-m"], by_name["execute_tool fail"]
    assert {span.trace.trace_id for span in found.spans} == {TRACE}
    assert root.parent_id == PARENT
    run = await cluster.service.get(TENANT, ref.run_id)
    assert (run.trace_id, run.status) == (TRACE, "completed")
    assert root.attributes == {
        "gen_ai.operation.name": "invoke_workflow",
        "gen_ai.workflow.name": "team",
        "gen_ai.usage.input_tokens": 6,
        "gen_ai.usage.output_tokens": 4,
        "teamrun.run.id": ref.run_id,
        "teamrun.tenant": TENANT,
        "teamrun.status": "completed",
        "teamrun.stop_code": run.stop_code,
    }
    assert chat.attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "model-m",
        "gen_ai.agent.name": "a",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.response.model": "scripted",
        "gen_ai.usage.input_tokens": 3,
        "gen_ai.usage.output_tokens": 2,
        "gen_ai.usage.cache_read.input_tokens": 0,
        "teamrun.model.profile": "m",
        "teamrun.call.id": "team/a/model:1",
        "teamrun.run.id": ref.run_id,
        "teamrun.tenant": TENANT,
    }
    assert agent.attributes["gen_ai.agent.name"] == "a"
    assert failed.attributes["gen_ai.tool.name"] == "fail"
    assert failed.error is not None
    assert [span.error for span in (root, agent, chat)] == [None, None, None]
    for span in found.spans:
        assert span.start <= span.end
        assert span is root or root.start <= span.start
    for span in (chat, failed):
        assert agent.start <= span.start <= span.end <= agent.end
    assert "secret" not in repr(found.spans)


async def test_a_run_without_a_traceparent_has_a_trace_of_its_own() -> None:
    found = Collected()
    cluster, ref = await executed(found, {"a": ["DONE"]}, solo())
    run = await cluster.service.get(TENANT, ref.run_id)
    assert len(bytes.fromhex(run.trace_id)) == 16
    assert {span.trace.trace_id for span in found.spans} == {run.trace_id}
    assert [span.parent_id for span in found.spans if span.operation == "invoke_workflow"] == [None]
    _, other = await executed(found, {"a": ["DONE"]}, solo())
    assert len({span.trace.trace_id for span in found.spans}) == 2
    assert other != ref


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "4bf92f35",
        GIVEN.upper(),
        GIVEN.replace("00-", "ff-", 1),
        GIVEN + "-more",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"{GIVEN}, {GIVEN}",
    ],
)
def test_an_invalid_traceparent_is_ignored(header: str | None) -> None:
    assert traceparent_of(header) is None


def test_a_traceparent_of_a_later_version_is_read_as_far_as_it_is_known() -> None:
    assert traceparent_of(GIVEN) == GIVEN
    assert traceparent_of(GIVEN.replace("00-", "cc-", 1) + "-more") == GIVEN


async def test_a_fork_has_a_trace_of_its_own() -> None:
    found = Collected()
    cluster, ref = await executed(
        found, {"a": [{"error": {"message": "x"}}]}, solo(), traceparent=GIVEN
    )
    failed = await cluster.service.get(TENANT, ref.run_id)
    child = (await cluster.service.retry(TENANT, ref.run_id, RetryRequest())).run
    assert (failed.trace_id, child.trace_id == TRACE) == (TRACE, False)
    [root] = [span for span in found.spans if span.operation == "invoke_workflow"]
    [chat] = [span for span in found.spans if span.operation == "chat"]
    assert (root.error, chat.error) == ("model_error", "model_error")
    assert chat.usage is None


async def test_turns_of_several_agents_and_calls_beside_them() -> None:
    found = Collected()
    team = {**duo(2), "type": "selector_group_chat", "model": "m"}
    await executed(found, {"a": ["A"], "b": ["B"], "selector": ["a", "b"]}, team)
    assert found.tree() == [
        ("chat model-m", "invoke_agent a"),
        ("chat model-m", "invoke_agent b"),
        ("chat model-m", "invoke_workflow team"),
        ("invoke_agent a", "invoke_workflow team"),
        ("invoke_agent b", "invoke_workflow team"),
        ("invoke_workflow team", ""),
    ]


@pytest.mark.parametrize("is_after", [False, True])
async def test_a_worker_that_dies_at_any_write_leaves_one_trace_and_no_span_twice(
    is_after: bool,
) -> None:
    script: dict[str, list[Any]] = {"a": [CALLS, "one", CALLS, "two DONE"]}
    team = solo("work", "fail", max_tool_iterations=2)
    calm = Collected()
    await executed(calm, script, team)
    dies_at = 0
    for dies_at in count(1):
        found, store = Collected(), MemoryStore()
        cluster = Cluster(
            script, team=team, tools=TOOLS, store=store, observe=[found.observer().appended]
        )
        ref = await cluster.submit()
        mortal = MortalStore(store, dies_at=dies_at, is_after=is_after)
        dying = Cluster(
            script,
            team=team,
            tools=TOOLS,
            store=mortal,
            live=cluster.live,
            clock=cluster.clock,
            observe=[found.observer().appended],
        )
        if not await until_dead(mortal, dying.worker("first").execute(ref)):
            break
        for owner in ("second", "third"):
            cluster.clock.shift += timedelta(minutes=3)  # the lease of the dead worker expires
            await cluster.worker(owner).execute(ref)
        ids = [span.span_id for span in found.spans]
        assert len(ids) == len(set(ids)), dies_at
        assert len({span.trace.trace_id for span in found.spans}) == 1, dies_at
        # An observer may miss the last entry of a worker that has died.
        assert set(found.tree()) <= {*calm.tree(), *((name, "") for name, _ in calm.tree())}
        assert len(found.spans) >= len(calm.spans) - 4, dies_at
        if not is_after:
            assert found.tree() == calm.tree(), dies_at
    assert dies_at > 4, "the claim, steps, the end and the result"
