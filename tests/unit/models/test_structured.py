"""Schemas for strict structured output."""

from typing import Any, Literal, cast

import pytest
from pydantic import BaseModel, Field

from teamrun.errors import UsageError
from teamrun.models.structured import response_format, strict_schema


class Part(BaseModel):
    weight: float = 1.0


class Whole(BaseModel):
    kind: Literal["a", "b"] = "a"
    part: Part = Field(default=Part(), description="The main one.")
    parts: list[Part] = []
    note: str | None = None


class Node(BaseModel):
    default: str
    children: list["Node"] = []


class Free(BaseModel):
    counts: dict[str, int]


def schema_of(model: type[BaseModel]) -> dict[str, Any]:
    return response_format(model)["json_schema"]["schema"]


def objects_in(node: Any) -> list[dict[str, Any]]:
    if isinstance(node, list):
        return [found for item in cast(list[Any], node) for found in objects_in(item)]
    if not isinstance(node, dict):
        return []
    schema = cast(dict[str, Any], node)
    inner = [found for value in schema.values() for found in objects_in(value)]
    return [schema, *inner] if "properties" in schema else inner


@pytest.mark.parametrize("model", [Whole, Node])
def test_every_object_is_closed_and_all_of_its_properties_are_required(
    model: type[BaseModel],
) -> None:
    objects = objects_in(schema_of(model))
    assert objects
    for node in objects:
        assert node["additionalProperties"] is False
        assert node["required"] == list(node["properties"])


def test_defaults_are_gone_but_a_property_may_be_called_default() -> None:
    text = str(schema_of(Whole))
    assert "'default'" not in text
    assert "default" in objects_in(schema_of(Node))[0]["properties"]


def test_a_reference_beside_a_description_is_written_out_and_a_recursive_one_stays() -> None:
    part = schema_of(Whole)["properties"]["part"]
    assert part["description"] == "The main one."
    assert part["properties"]["weight"]["type"] == "number"
    assert "$ref" not in part
    assert "#/$defs/Node" in str(schema_of(Node))


def test_a_model_with_free_keys_is_sent_as_it_is_and_not_as_strict() -> None:
    body = response_format(Free)["json_schema"]
    assert body["strict"] is False
    assert body["schema"] == Free.model_json_schema()
    assert response_format(Whole)["json_schema"]["strict"] is True


def test_the_schema_given_is_not_changed() -> None:
    schema = Whole.model_json_schema()
    before = Whole.model_json_schema()
    strict_schema(schema)
    assert schema == before


def test_a_reference_to_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="Missing"):
        strict_schema({"properties": {"x": {"$ref": "#/$defs/Missing", "title": "X"}}})
