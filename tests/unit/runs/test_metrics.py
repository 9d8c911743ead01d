"""The metrics of an engine for Prometheus."""

from typing import Any

from tests.support.runs import Cluster, solo

from teamrun.core.exposition import sample
from teamrun.runs.engine.engine import Engine
from teamrun.tools import FunctionTool


def broken() -> str:
    """Fails."""
    raise ValueError("no")


def samples(engine: Engine) -> dict[str, str]:
    lines = [line for line in engine.metric_lines() if not line.startswith("#")]
    return {name: value for name, _, value in (line.rpartition(" ") for line in lines)}


async def test_runs_calls_and_failures_are_counted_by_codes_that_are_bounded() -> None:
    calls: list[Any] = [{"name": "broken", "arguments": {}}]
    script: dict[str, list[Any]] = {
        "a": [{"tool_calls": calls}, {"error": {"message": "The provider is away."}}]
    }
    cluster = Cluster(script, team=solo("broken"), tools=[FunctionTool(broken, "Fails.")])
    engine = cluster.worker()
    await engine.execute(await cluster.submit())
    assert samples(engine) == {
        "teamrun_runs_in_flight": "0",
        "teamrun_runs_warm": "0",
        "teamrun_run_claims_total": "1",
        'teamrun_runs_ended_total{status="failed",stop_code="model_error"}': "1",
        'teamrun_model_calls_total{profile="m",outcome="completed"}': "1",
        'teamrun_model_calls_total{profile="m",outcome="model_error"}': "1",
        'teamrun_tool_calls_total{outcome="run_failed"}': "1",
    }


async def test_a_replay_counts_nothing_again() -> None:
    cluster = Cluster({"a": ["DONE"]}, team=solo())
    first, second = cluster.worker("w1"), cluster.worker("w2")
    ref = await cluster.submit()
    await first.execute(ref)
    await second.execute(ref)
    for engine in (first, second):
        await engine.close()
    first, second = samples(first), samples(second)

    assert first['teamrun_model_calls_total{profile="m",outcome="completed"}'] == "1"
    assert not [name for name in second if "model_calls" in name or "ended" in name]


def test_a_label_is_escaped() -> None:
    assert sample("m", 1, {"a": 'x"\\\n'}) == 'm{a="x\\"\\\\\\n"} 1'
