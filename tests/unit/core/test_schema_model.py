"""Classes made of JSON Schemas, and schemas that are refused."""

import math
from typing import Any, Literal, cast

import pytest
from pydantic import BaseModel, Field, ValidationError

from teamrun.core import schema_model
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
        (doubling(17), "more than 16 others", ...),
        (of({"anyOf": [{"properties": {}}] * 50}), "at most 50 objects", ...),
        (of({"type": []}), "each once", ("properties", "a", "type")),
        (of({"type": ["object"] * 2}), "each once", ("properties", "a", "type")),
        (of({"type": [["string"]]}), "'type' is", ("properties", "a", "type")),
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


@pytest.mark.parametrize("keyword", ["minLength", "maxLength", "minItems", "maxItems"])
@pytest.mark.parametrize("value", [-1, 1.5, 2**70, math.inf, True, "1", None])
def test_a_length_is_a_whole_number(keyword: str, value: Any) -> None:
    with pytest.raises(UnusableSchema, match=f"'{keyword}' must be a whole number") as caught:
        model_of_schema(of({"type": "string", keyword: value}))

    assert caught.value.path == ("properties", "a", keyword)


@pytest.mark.parametrize("keyword", ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"])
@pytest.mark.parametrize("value", [2**2000, math.inf, math.nan, True, "1", None])
def test_a_limit_is_a_number(keyword: str, value: Any) -> None:
    with pytest.raises(UnusableSchema, match=f"'{keyword}' must be a number") as caught:
        model_of_schema(of({"type": "number", keyword: value}))

    assert caught.value.path == ("properties", "a", keyword)


def test_what_pydantic_cannot_make_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise RecursionError

    monkeypatch.setattr(schema_model, "create_model", fails)

    with pytest.raises(UnusableSchema, match=r"RecursionError.*/properties/a\)") as caught:
        model_of_schema(of({"type": "object", "properties": {"never made": {}}}))

    assert caught.value.path == ("properties", "a")


@pytest.mark.parametrize(
    ("schema", "right", "wrong"),
    [
        ({"type": "integer", "minLength": 3}, 5, "abc"),
        ({"type": "string", "minimum": 3}, "abc", 5),
        ({"type": "string", "minItems": 3}, "a", 5),
        ({"type": "array", "items": {"type": "string"}, "minimum": 3}, ["a"], 5),
        ({"type": "array", "minLength": 3, "minItems": 1}, ["a"], []),
        ({"type": "boolean", "minimum": 3}, True, "abc"),
        ({"type": ["integer", "string"], "minLength": 2}, 1, "a"),
        ({"type": ["integer", "string"], "minimum": 2}, "a", 1),
        ({"type": "integer", "minimum": 1.5}, 2, 1),
        ({"type": "integer", "exclusiveMinimum": 1.5}, 2, 1),
        ({"type": "integer", "maximum": 1.5}, 1, 2),
        ({"type": "integer", "exclusiveMaximum": 1.5}, 1, 2),
        ({"type": "string", "minLength": 2.0}, "ab", "a"),
    ],
)
def test_a_keyword_applies_to_its_type_alone(schema: Any, right: Any, wrong: Any) -> None:
    made = model_of_schema(of(schema))

    assert made.model_validate({"a": right}).model_dump() == {"a": right}
    with pytest.raises(ValidationError):
        made.model_validate({"a": wrong})


def test_a_definition_of_the_schema_is_made_once() -> None:
    made = model_of_schema(doubling(12))

    kinds = [made.model_fields["a"].annotation]
    for _ in range(11):
        fields = cast("Any", kinds[-1]).__args__[0].model_fields
        inner = {fields[name].annotation for name in "abc"}
        assert len(inner) == 1
        kinds += inner


def test_two_properties_never_share_an_attribute() -> None:
    names = ["_x", "field_0", "field_0_", "Config", "field_3"]
    schema = {"type": "object", "properties": {name: {"type": "integer"} for name in names}}
    answer = {name: number for number, name in enumerate(names)}

    assert model_of_schema(schema).model_validate(answer).model_dump() == answer
