"""Classes made of JSON Schemas, and schemas that are refused."""

from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field, ValidationError

from teamrun.core.schema_model import UnusableSchema, model_of_schema


class Part(BaseModel):
    name: str
    size: int | None = None


class Report(BaseModel):
    """What was found."""

    figure: float = Field(ge=0, description="Per year.")
    kind: Literal["a", "b"]
    parts: list[Part]
    by_name: dict[str, Part] = {}
    more: str | int = "x"


def test_a_class_reads_and_writes_what_the_original_does() -> None:
    made = model_of_schema(Report.model_json_schema(), "Report")
    data: Any = {
        "figure": 1.5,
        "kind": "a",
        "parts": [{"name": "p"}],
        "by_name": {"q": {"name": "r"}},
    }

    answer = made.model_validate(data)

    assert answer.model_dump() == Report.model_validate(data).model_dump()
    assert made.__name__ == "Report"
    assert made.__doc__ == "What was found."
    properties = made.model_json_schema()["properties"]
    assert properties["figure"]["description"] == "Per year."
    assert properties.keys() == Report.model_json_schema()["properties"].keys()


WRONG: list[Any] = [
    {"figure": -1},
    {"figure": "much"},
    {"kind": "c"},
    {"parts": [{}]},
    {"by_name": {"q": 1}},
    {"more": []},
]


@pytest.mark.parametrize("wrong", WRONG)
def test_what_does_not_fit_is_refused(wrong: Any) -> None:
    made = model_of_schema(Report.model_json_schema(), "Report")
    right: Any = {"figure": 1, "kind": "a", "parts": []}

    made.model_validate(right)
    with pytest.raises(ValidationError):
        made.model_validate({**right, **wrong})


def test_the_same_schema_is_the_same_class() -> None:
    schema = Report.model_json_schema()

    assert model_of_schema(schema, "A") is model_of_schema({**schema}, "A")
    assert model_of_schema(schema, "A") is not model_of_schema(schema, "B")


def test_any_name_of_a_property_is_possible() -> None:
    names = ["model_dump", "_x", "a-b", "class", "json", "copy", "self", "é"]
    schema = {"type": "object", "properties": {name: {"type": "integer"} for name in names}}

    answer = model_of_schema(schema).model_validate(dict.fromkeys(names, 1))

    assert answer.model_dump() == dict.fromkeys(names, 1)


def deep(levels: int) -> Any:
    schema: Any = {"type": "object", "properties": {"a": {"type": "string"}}}
    for _ in range(levels):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


def doubling(levels: int) -> Any:
    definitions = {
        f"d{n}": {
            "type": "object",
            "properties": {name: {"$ref": f"#/$defs/d{n + 1}"} for name in "abc"},
        }
        for n in range(levels)
    }
    definitions[f"d{levels}"] = {"type": "string"}
    return {**deep(0), "properties": {"a": {"$ref": "#/$defs/d0"}}, "$defs": definitions}


OBJECT: Any = {"type": "object", "properties": {"a": {}}}


def of(a: Any, **more: Any) -> Any:
    return {"type": "object", "properties": {"a": a}, **more}


@pytest.mark.parametrize(
    ("schema", "says", "path"),
    [
        ({}, "is an object", ()),
        ({"type": "array", "items": {}}, "is an object", ()),
        (deep(20), "at most 500 values and 16 levels", ()),
        (of({"enum": list(range(600))}), "at most 500 values", ()),
        (doubling(8), "references repeat too much", ...),
        (of({"$ref": "#/$defs/A"}, **{"$defs": {"A": of({"$ref": "#/$defs/A"})}}), "itself", ...),
        (of({"$ref": "http://example.org/a"}), "names nothing", ("properties", "a", "$ref")),
        (of({"$ref": "#/$defs/B"}), "names nothing", ("properties", "a", "$ref")),
        (of({"type": "string", "pattern": "(a+)+$"}), "'pattern'", ("properties", "a", "pattern")),
        (of({"type": "date"}), "'type' is 'date'", ("properties", "a", "type")),
        (of({"enum": [[1]]}), "texts, whole numbers", ("properties", "a")),
        (of({"anyOf": []}), "list of schemas", ("properties", "a", "anyOf")),
        (of({"allOf": [{}, {}]}), "merge", ("properties", "a", "allOf")),
        (of(5), "must be an object", ("properties", "a")),
        (of({}, required=5), "must be a list", ("required",)),
        ({**OBJECT, "title": "no name"}, "must be an identifier", ()),
        ({"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/A"}}}, "names nothing", ("$ref",)),
    ],
)
def test_a_schema_that_cannot_be_used_is_refused_with_its_place(
    schema: Any, says: str, path: Any
) -> None:
    with pytest.raises(UnusableSchema, match=says) as caught:
        model_of_schema(schema)

    assert path is ... or caught.value.path == path
