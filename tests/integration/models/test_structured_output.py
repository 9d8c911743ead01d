"""`output_schema` of a run on the wire of chat completions: strict, by a tool, by instruction."""

import json
from typing import Any, cast

import pytest
from tests.support.model_replies import Plan, Reply, ToolCall
from tests.support.model_server import ModelServer
from tests.support.runs import TENANT, Cluster, solo

from teamrun.components.registry import Registry
from teamrun.models import OpenAIChatCompletionClient
from teamrun.models.base import ModelInfo

pytestmark = pytest.mark.integration

SCHEMA: dict[str, Any] = {
    "title": "Sales",
    "type": "object",
    "properties": {"region": {"type": "string"}, "units": {"$ref": "#/$defs/Units"}},
    "required": ["region"],
    "$defs": {"Units": {"type": "integer", "minimum": 0}},
}
FILLED: dict[str, Any] = {
    "title": "Sales",
    "type": "object",
    "properties": {"region": {"type": "string"}, "units": {"type": "integer", "minimum": 0}},
}
DATA = {"region": "North", "units": 3}
PROSE, GOOD = Reply(content="North sold three."), Reply(content=json.dumps(DATA))
BY_TOOL = Reply(tool_calls=[ToolCall(name="structured_answer", arguments=DATA)])
TEAM = {**solo(), "max_turns": 1}


async def sent(*replies: Reply, **able: bool) -> tuple[Any, list[Any]]:
    """The output of a run, and the bodies of its requests."""
    usual = {"vision": False, "family": "unknown", "multiple_system_messages": True}
    info = cast(ModelInfo, usual | able)
    async with ModelServer(Plan(queue=list(replies))) as server:
        url = server.base_url
        model = OpenAIChatCompletionClient("some-model", api_key="k", base_url=url, model_info=info)
        cluster = Cluster({}, team=TEAM)
        worker = cluster.worker(registry=Registry.of(teams={"team": TEAM}, models={"m": model}))
        try:
            ref = await cluster.submit(output_schema=SCHEMA)
            await worker.execute(ref)
            run = await cluster.service.get(TENANT, ref.run_id)
        finally:
            await worker.close()
            await model.close()
        assert run.status == "completed", run.error
        assert run.output is not None
        return run.output.data, [request["body"] for request in server.requests]


async def test_a_model_with_structured_output_gets_the_schema_in_strict_form() -> None:
    data, bodies = await sent(
        PROSE, GOOD, structured_output=True, json_output=True, function_calling=True
    )
    assert data == DATA
    assert "response_format" not in bodies[0]
    assert bodies[1]["response_format"] == {
        "type": "json_schema",
        "json_schema": {
            "name": "Sales",
            "strict": True,
            "schema": {**FILLED, "required": ["region", "units"], "additionalProperties": False},
        },
    }


async def test_a_model_with_tools_is_forced_to_call_one() -> None:
    data, bodies = await sent(
        PROSE, BY_TOOL, structured_output=False, json_output=True, function_calling=True
    )
    assert data == DATA
    assert "tools" not in bodies[0]
    [tool] = bodies[1]["tools"]
    assert tool["function"]["parameters"] == {**FILLED, "required": ["region"]}
    assert bodies[1]["tool_choice"]["function"] == {"name": "structured_answer"}


async def test_any_other_model_is_instructed_and_corrects_itself() -> None:
    wrong = Reply(content='{"units": -1}')
    data, bodies = await sent(
        PROSE, wrong, GOOD, structured_output=False, json_output=True, function_calling=False
    )
    assert data == DATA
    assert [body.get("response_format") for body in bodies] == [
        None,
        {"type": "json_object"},
        {"type": "json_object"},
    ]
    assert "JSON Schema" in bodies[1]["messages"][1]["content"]
    assert [message["role"] for message in bodies[2]["messages"][-2:]] == ["assistant", "user"]
    assert "- /units: -1 is less than the minimum of 0." in bodies[2]["messages"][-1]["content"]
