"""`output_schema` over HTTP."""

from typing import Any

import pytest
from tests.support.api import World, serve, world

from teamrun.components.registry import Registry
from teamrun.testing import ScriptedModel

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"region": {"type": "string"}},
    "required": ["region"],
}
TEAM = {
    "type": "round_robin_group_chat",
    "participants": [{"type": "assistant_agent", "name": "a", "model": "m"}],
    "max_turns": 1,
}
BODY: dict[str, Any] = {"team": "team", "input": "Go"}


def registry(*form: Any) -> Registry:
    model = ScriptedModel({"a": ["North"], "output-schema": [*form]})
    return Registry.of(teams={"team": TEAM}, models={"m": model})


async def ended(w: World, body: dict[str, Any]) -> Any:
    run = (await w.client.post("/v1/runs", json=body)).json()
    await w.execute()
    return (await w.client.get(f"/v1/runs/{run['id']}")).json()


def test_the_output_of_the_run_is_parsed_json() -> None:
    async def scenario() -> None:
        async with world(registry=registry('{"region": "North"}')) as w:
            run = await ended(w, {**BODY, "output_schema": SCHEMA})
            assert run["status"] == "completed"
            assert run["output"] == {"text": '{"region": "North"}', "json": {"region": "North"}}
            result = (await w.client.get(f"/v1/runs/{run['id']}/result")).json()
            assert result["output"] == run["output"]
            events = (await w.client.get(f"/v1/runs/{run['id']}/events?limit=100")).json()["data"]
            assert events[-1]["data"]["output"] == run["output"]
            agents = [e["agent"] for e in events if e["type"] == "model.call.completed"]
            assert agents == ["a", "output-schema"]

    serve(scenario())


def test_a_run_whose_output_never_fits_keeps_the_text_and_the_problems() -> None:
    async def scenario() -> None:
        async with world(registry=registry("no", "no", '{"region": 1}')) as w:
            run = await ended(w, {**BODY, "output_schema": SCHEMA})
            assert (run["status"], run["stop_code"]) == ("incomplete", "output_schema")
            assert run["output"] == {
                "text": '{"region": 1}',
                "json": None,
                "problems": [{"pointer": "/region", "detail": "1 is not of type 'string'."}],
            }

    serve(scenario())


@pytest.mark.parametrize(
    ("schema", "pointer", "code"),
    [
        ("object", "/output_schema", None),
        ([], "/output_schema", None),
        ({"type": "string"}, "/output_schema/type", "invalid_definition"),
        ({"type": "object", "proprties": {}}, "/output_schema/proprties", "unknown_field"),
        (
            {"type": "object", "properties": {"a/b": {"$ref": "http://169.254.169.254/"}}},
            "/output_schema/properties/a~1b/$ref",
            "invalid_definition",
        ),
        ({"type": "object", "description": "x" * 70_000}, "/output_schema", "too_large"),
    ],
)
def test_a_bad_schema_is_422_with_its_place(schema: Any, pointer: str, code: str | None) -> None:
    async def scenario() -> None:
        async with world(registry=registry()) as w:
            answer = await w.client.post("/v1/runs", json={**BODY, "output_schema": schema})
            problem = answer.json()
            assert answer.status_code == 422
            assert problem["errors"][0]["pointer"] == pointer
            assert code is None or problem["errors"][0]["code"] == code
            assert (await w.client.get("/v1/runs")).json()["data"] == []

    serve(scenario())
