"""Schemas for strict structured output."""

from collections.abc import Iterator
from enum import Enum
from typing import Annotated, Any, Literal, Union, cast

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, create_model
from tests.support.examples import examples

from teamrun.errors import UsageError
from teamrun.models.structured import NotStrict, response_format, strict_schema
from teamrun.tools.function import FunctionTool

Json = dict[str, Any]


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
    with pytest.raises(UsageError) as raised:
        strict_schema({"properties": {"x": {"$ref": "#/$defs/Missing", "title": "X"}}})
    assert raised.value.data == {"reference": "#/$defs/Missing"}


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"
    lives: int = 9


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"
    friends: list["Pet"] = []


Pet = Annotated[Union[Cat, Dog], Field(discriminator="kind")]  # noqa: UP007 - recursive by name


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class House(BaseModel):
    pet: Pet
    default: str = "x"
    discriminator: int = 1
    properties: list[int] = Field([], min_length=1)


Dog.model_rebuild()


def nodes_in(node: Any) -> Iterator[Json]:
    """Every schema within a schema; names and values of users are no schemas."""
    if isinstance(node, list):
        for item in cast(list[Any], node):
            yield from nodes_in(item)
    elif isinstance(node, dict):
        schema = cast(Json, node)
        yield schema
        for key, value in schema.items():
            if key in ("properties", "$defs"):
                yield from nodes_in(list(value.values()))
            elif key not in ("enum", "const", "required"):
                yield from nodes_in(value)


def references_in(schema: Any) -> set[str]:
    return {str(node["$ref"]) for node in nodes_in(schema) if "$ref" in node}


def check_is_strict(schema: Json) -> None:
    assert schema["type"] == "object"
    for node in nodes_in(schema):
        assert not node.keys() & {"oneOf", "allOf", "default", "discriminator", "prefixItems"}
        assert "$ref" not in node or len(node) == 1
        if node.get("type") == "object":
            assert node["additionalProperties"] is False
            assert node["required"] == list(node["properties"])
    assert references_in(schema) <= {f"#/$defs/{name}" for name in schema.get("$defs", {})}
    jsonschema_rs.meta.validate(schema)


def test_a_union_with_a_discriminator_is_any_of_and_its_parts_are_closed() -> None:
    schema = schema_of(House)

    check_is_strict(schema)
    assert response_format(House)["json_schema"]["strict"] is True
    assert len(schema["properties"]["pet"]["anyOf"]) == 2
    assert set(schema["properties"]) == {"pet", "default", "discriminator", "properties"}


def _build(house: House) -> str:
    return house.pet.kind


def test_a_strict_tool_is_sent_with_a_strict_schema() -> None:
    schema = FunctionTool(_build, "Build.", strict=True).schema

    assert references_in(schema.get("parameters")) <= {
        f"#/$defs/{name}" for name in schema.get("parameters", {}).get("$defs", {})
    }
    check_is_strict(strict_schema(cast(dict[str, Any], schema.get("parameters"))))


def _count(by_name: dict[str, int]) -> str:
    return str(by_name)


def test_a_strict_tool_whose_arguments_cannot_be_strict_is_refused_when_it_is_made() -> None:
    with pytest.raises(ValueError):
        FunctionTool(_count, "Count.", strict=True)
    assert FunctionTool(_count, "Count.").schema.get("strict") is False


class Tree(BaseModel):
    label: str
    children: list["Tree"]


def _plant(tree: Tree) -> str:
    return tree.label


def test_arguments_that_contain_themselves_keep_their_properties() -> None:
    parameters = FunctionTool(_plant, "Plant.", strict=True).schema.get("parameters")
    assert parameters is not None
    check_is_strict(strict_schema(cast(dict[str, Any], parameters)))


POINTERS: list[tuple[Json, bool]] = [
    ({"type": "object", "properties": {"x": {"$ref": "#/definitions/X"}},
      "definitions": {"X": {"type": "object", "properties": {}}}}, True),
    ({"type": "object", "properties": {"x": {"$ref": "#/$defs/a~1b%20c"}},
      "$defs": {"a/b c": {"type": "string"}}}, True),
    ({"type": "object", "properties": {"x": {"$ref": "#/properties/y"}, "y": {"type": "null"}}},
     True),
    ({"type": "object", "properties": {"self": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}}},
     True),
    ({"$ref": "#/$defs/A", "$defs": {"A": {"type": "object", "properties": {}}}}, True),
    ({"type": "object", "properties": {"x": {}}}, False),
    ({"type": "object", "properties": {"x": True}}, False),
    ({"type": "object", "properties": {"x": {"type": "array"}}}, False),
    ({"type": "object", "properties": {"x": {"not": {"type": "null"}, "type": "string"}}}, False),
    ({"type": "string"}, False),
    ({"anyOf": [{"type": "object", "properties": {}}]}, False),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "strict"), POINTERS, ids=str)
def test_pointers_of_every_form_are_resolved_and_non_strict_schemas_are_refused(
    schema: dict[str, Any], strict: bool
) -> None:
    if strict:
        check_is_strict(strict_schema(schema))
    else:
        with pytest.raises(NotStrict):
            strict_schema(schema)


LEAVES = st.sampled_from(
    [
        (str, "text"), (int, 3), (float, 0.5), (bool, True), (None, None),
        (Literal["a", "b"], "a"), (Colour, Colour.RED), (Cat, Cat()), (Pet, Dog()),
        (Annotated[int, Field(ge=0, le=9)], 4), (Annotated[str, Field(pattern="^x")], "xy"),
    ]
)  # fmt: skip
Typed = tuple[Any, Any]


def _grown(inner: st.SearchStrategy[Typed]) -> st.SearchStrategy[Typed]:
    def as_list(item: Typed) -> Typed:
        return list[item[0]], [item[1]]

    def as_set(item: Typed) -> Typed:
        return Annotated[list[item[0]], Field(min_length=1, max_length=3)], [item[1]]

    def either(items: tuple[Typed, Typed]) -> Typed:
        return Union[items[0][0], items[1][0]], items[0][1]  # noqa: UP007 - made at run time

    def described(item: Typed) -> Typed:
        return Annotated[item[0], Field(description="d")], item[1]

    return st.one_of(
        inner.map(as_list),
        inner.map(as_set),
        st.tuples(inner, inner).map(either),
        inner.map(described),
        st.lists(inner, max_size=3).map(_model),
    )


def _model(fields: list[Typed]) -> Typed:
    """A class with these fields, every second one with a default, and an instance of it."""
    definitions: dict[str, Any] = {
        f"field{k}": (kind, value if k % 2 else ...) for k, (kind, value) in enumerate(fields)
    }
    made = create_model("Made", **definitions)
    return made, made(**{f"field{k}": value for k, (_, value) in enumerate(fields)})


MODELS = st.lists(st.recursive(LEAVES, _grown, max_leaves=8), min_size=1, max_size=4).map(_model)


@examples(150)
@given(MODELS)
def test_every_model_gives_a_strict_schema_that_its_instances_fit(made: Typed) -> None:
    model, instance = made
    schema = strict_schema(model.model_json_schema())

    check_is_strict(schema)
    jsonschema_rs.validate(schema, instance.model_dump(mode="json"))
