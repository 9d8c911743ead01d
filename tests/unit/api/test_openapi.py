import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import jsonschema_rs
import pytest
from tests.support.api import serve, world

from teamrun_api.app import described
from teamrun_api.openapi import render

COMMITTED = Path(__file__).parents[3] / "docs" / "reference" / "openapi.json"

DOCUMENT = described()


def _operations() -> Iterator[tuple[str, dict[str, Any]]]:
    for path, item in DOCUMENT["paths"].items():
        for method, operation in item.items():
            yield f"{method.upper()} {path}", operation


OPERATIONS = dict(_operations())


def test_the_committed_document_is_the_one_that_is_served() -> None:
    # Renew it with: python -m teamrun_api.openapi > docs/reference/openapi.json
    assert COMMITTED.read_text(encoding="utf-8") == render(DOCUMENT)

    async def scenario() -> None:
        async with world() as w:
            assert (await w.client.get("/openapi.json")).json() == DOCUMENT

    serve(scenario())


def test_it_is_openapi_3_1_with_the_security_scheme_of_keys() -> None:
    assert DOCUMENT["openapi"].startswith("3.1.")
    (scheme,) = DOCUMENT["components"]["securitySchemes"].values()
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_is_named_explained_and_declares_its_errors(name: str) -> None:
    operation = OPERATIONS[name]
    assert operation["operationId"] and operation["summary"] and operation["description"]
    assert {"400", "403"} <= operation["responses"].keys()
    for status, response in operation["responses"].items():
        if status >= "400":
            problem = response["content"]["application/problem+json"]
            assert problem["schema"] == {"$ref": "#/components/schemas/Problem"}
            assert problem["examples"]


SCHEMAS: dict[str, dict[str, Any]] = DOCUMENT["components"]["schemas"]


def test_each_concept_has_one_schema() -> None:
    shapes = [json.dumps(schema, sort_keys=True) for schema in SCHEMAS.values()]
    assert len(set(shapes)) == len(shapes)
    assert [name for name in SCHEMAS if not name.isalnum()] == []


def test_a_body_with_a_choice_is_a_oneof_of_named_schemas() -> None:
    for name in ("RunRequest", "ValidateRequest"):
        branches = SCHEMAS[name]["oneOf"]
        assert "properties" not in SCHEMAS[name]
        named = [_resolved(branch) for branch in branches]
        assert len(named) == 2
        assert all(set(branch) == {"$ref"} for branch in branches)
        assert all(schema["additionalProperties"] is False for schema in named)


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_field_is_required_or_may_be_left_out_and_has_no_default(name: str) -> None:
    # Some generators take a field that has a default for one that is always there.
    for field, schema in SCHEMAS[name].get("properties", {}).items():
        assert "default" not in schema, field


def test_all_fields_of_a_response_are_required() -> None:
    for name in ("Run", "RunResult", "RunPage", "Event", "EventPage", "TeamSummary", "Info"):
        assert SCHEMAS[name]["required"] == list(SCHEMAS[name]["properties"])


def test_files_are_binary_for_every_generator() -> None:
    content = OPERATIONS["GET /v1/runs/{run_id}/artifacts/{name}"]["responses"]["200"]["content"]
    assert content["application/octet-stream"]["schema"] == {"type": "string", "format": "binary"}


def test_operation_ids_are_unique() -> None:
    ids = [operation["operationId"] for operation in OPERATIONS.values()]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_body_has_a_valid_example(name: str) -> None:
    operation = OPERATIONS[name]
    bodies = [operation["requestBody"]] if "requestBody" in operation else []
    bodies += [response for response in operation["responses"].values() if "content" in response]
    assert bodies
    for body in bodies:
        for media_type, media in body["content"].items():
            assert media["examples"], (name, media_type)
            for example in media["examples"].values():
                _validate(_resolved(example)["value"], media["schema"])


def _resolved(node: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in node:
        return node
    found: Any = DOCUMENT
    for part in node["$ref"].removeprefix("#/").split("/"):
        found = found[part]
    return found


def _validate(value: object, schema: dict[str, Any]) -> None:
    validator = jsonschema_rs.Draft202012Validator(
        {**schema, "components": DOCUMENT["components"]}, validate_formats=True
    )
    validator.validate(value)


def test_every_reference_resolves_and_every_schema_and_example_is_used() -> None:
    text = json.dumps(DOCUMENT)
    for kind in ("schemas", "examples"):
        for name in DOCUMENT["components"][kind]:
            assert f'"#/components/{kind}/{name}"' in text, name
    for reference in _references(DOCUMENT):
        _resolved({"$ref": reference})


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in cast("dict[str, Any]", node).items():
            if key == "$ref":
                yield value
            else:
                yield from _references(value)
    elif isinstance(node, list):
        for value in cast("list[Any]", node):
            yield from _references(value)
