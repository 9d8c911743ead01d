"""The `output_schema` of a run: which schemas are accepted, and how answers are validated."""

import json
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field

from teamrun.components.reading.output_schema import OutputForm, check_output_schema
from teamrun.errors import DefinitionError

Json = dict[str, Any]


def form(**properties: Any) -> Json:
    return {"type": "object", "properties": properties}


def nested(levels: int) -> Json:
    schema: Json = {"type": "string"}
    for _ in range(levels):
        schema = {"type": "array", "items": schema}
    return form(deep=schema)


def doubled(levels: int) -> Json:
    """Each definition refers twice to the next one."""
    definitions: Json = {f"d{levels}": {"type": "string"}}
    for n in range(levels):
        ref = {"$ref": f"#/$defs/d{n + 1}"}
        definitions[f"d{n}"] = {"type": "object", "properties": {"a": ref, "b": ref}}
    return {**form(x={"$ref": "#/$defs/d0"}), "$defs": definitions}


@dataclass(frozen=True)
class Refused:
    id: str
    schema: Json
    pointer: str
    says: str
    code: str = "invalid_definition"


REFUSED = [
    Refused("no type", {"properties": {}}, "/type", "The output is an object"),
    Refused("a list", {"type": "array", "items": {}}, "/type", "The output is an object"),
    Refused("or null", {"type": ["object", "null"]}, "/type", "The output is an object"),
    Refused(
        "keyword",
        {"type": "object", "propertes": {}},
        "/propertes",
        "Did you mean 'properties'?",
        "unknown_field",
    ),
    Refused(
        "pattern",
        form(a={"type": "string", "pattern": "(a+)+$"}),
        "/properties/a/pattern",
        "remove it",
    ),
    Refused(
        "unique",
        form(a={"type": "array", "uniqueItems": True}),
        "/properties/a/uniqueItems",
        "remove it",
    ),
    Refused("id", {**form(), "$id": "https://example.com/x"}, "/$id", "'#/$defs/NAME'"),
    Refused(
        "remote",
        form(a={"$ref": "https://example.com/a.json"}),
        "/properties/a/$ref",
        "is no '#/$defs/NAME' of this schema",
    ),
    Refused(
        "file", form(a={"$ref": "file:///etc/passwd"}), "/properties/a/$ref", "is no '#/$defs/"
    ),
    Refused(
        "dangling", form(a={"$ref": "#/$defs/A"}), "/properties/a/$ref", "is no '#/$defs/NAME'"
    ),
    Refused("itself", form(a={"$ref": "#"}), "/properties/a/$ref", "contains itself"),
    Refused(
        "circle",
        {
            **form(a={"$ref": "#/$defs/A"}),
            "$defs": {"A": {"type": "object", "properties": {"b": {"$ref": "#/$defs/A"}}}},
        },
        "/$defs/A/properties/b/$ref",
        "contains itself",
    ),
    Refused("meta", form(a={"type": "date"}), "/properties/a/type", "No JSON Schema: 'date'"),
    Refused("no map", {"type": "object", "properties": ["a"]}, "/properties", "No JSON Schema"),
    Refused("draft", {**form(), "$schema": "https://x.org/1"}, "/$schema", "remove it"),
    Refused("deep", nested(40), "", "too large", "too_large"),
    Refused(
        "many",
        form(**{f"f{n}": {"type": "string"} for n in range(2_000)}),
        "",
        "too large",
        "too_large",
    ),
    Refused("long", form(a={"description": "x" * 70_000}), "", "too large", "too_large"),
    Refused("doubled", doubled(20), "", "too large", "too_large"),
]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.id)
def test_a_schema_that_cannot_be_used_is_refused_with_its_place(case: Refused) -> None:
    with pytest.raises(DefinitionError) as raised:
        check_output_schema(case.schema)
    assert raised.value.pointer == f"/output_schema{case.pointer}"
    assert raised.value.code == case.code
    assert case.says in raised.value.message


def test_all_problems_of_a_schema_are_listed() -> None:
    schema = form(a={"pattern": "x"}, b={"nullable": True})
    with pytest.raises(DefinitionError) as raised:
        check_output_schema(schema, "/items/0/output_schema")
    assert [each["pointer"] for each in raised.value.data["problems"]] == [
        "/items/0/output_schema/properties/a/pattern",
        "/items/0/output_schema/properties/b/nullable",
    ]


class Level(Enum):
    LOW = "low"
    HIGH = "high"


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = Field(default=9, ge=1, le=9, description="Lives that are left.")


class Dog(BaseModel):
    kind: Literal["dog"]
    level: Level | None = None


class Report(BaseModel):
    """A report."""

    title: str = Field(min_length=1)
    pets: list[Cat | Dog] = Field(default=[], max_length=5)
    best: Cat | Dog | None = Field(default=None, discriminator="kind")
    notes: dict[str, str] = {}


def test_the_schema_of_a_pydantic_class_is_accepted_and_validates_its_objects() -> None:
    schema = Report.model_json_schema()
    check_output_schema(schema)
    form = OutputForm.of(schema)
    assert "$ref" not in json.dumps(form.schema)
    good = Report(title="Pets", pets=[Cat(kind="cat"), Dog(kind="dog", level=Level.LOW)])
    assert form.unfit(good.model_dump(mode="json")) == []
    data, unfit = form.read('{"title": "", "pets": [{"kind": "cat", "lives": 10}]}')
    assert data["title"] == ""
    assert [each.pointer for each in unfit] == ["/title", "/pets/0"]
    assert form.unfit({"title": "x", "best": {"kind": "dog", "level": "mid"}})[0].pointer == "/best"


def test_keywords_beside_a_reference_apply_as_well() -> None:
    named: Json = {"type": "object", "properties": {"a": {}}, "additionalProperties": False}
    beside = {"$ref": "#/$defs/A", "description": "An A.", "required": ["a"]}
    form = OutputForm.of({"type": "object", "properties": {"x": beside}, "$defs": {"A": named}})
    assert form.unfit({"x": {"a": 1}}) == []
    assert [each.pointer for each in form.unfit({"x": {}})] == ["/x"]
    assert [each.pointer for each in form.unfit({"x": {"a": 1, "b": 2}})] == ["/x"]
    described = {"$ref": "#/$defs/A", "description": "An A."}
    other = {"type": "object", "properties": {"x": described}, "$defs": {"A": named}}
    assert OutputForm.of(other).schema["properties"]["x"] == {**named, "description": "An A."}


@pytest.mark.parametrize(
    ("text", "data", "pointers"),
    [
        ('{"n": 1}', {"n": 1}, []),
        ('\n```json\n{"n": 1}\n```\n', {"n": 1}, []),
        ('{"n": "1"}', {"n": "1"}, ["/n"]),
        ('{"n": NaN}', None, [""]),
        ('{"n": 1} TERMINATE', None, [""]),
        ("One", None, [""]),
        ("", None, [""]),
        ("[1]", [1], [""]),
    ],
)
def test_a_text_is_read_as_json_and_validated(text: str, data: Any, pointers: list[str]) -> None:
    read, unfit = OutputForm.of(form(n={"type": "integer"})).read(text)
    assert (read, [each.pointer for each in unfit]) == (data, pointers)
    assert all(each.sentence.startswith(each.pointer or "The answer") for each in unfit)


def test_what_would_take_long_to_validate_is_not_validated() -> None:
    choices = [{"type": "object", "properties": {f"p{n}": {"const": n}}} for n in range(300)]
    schema = form(items={"type": "array", "items": {"anyOf": choices}})
    check_output_schema(schema)
    [unfit] = OutputForm.of(schema).unfit({"items": [{"p1": 2}] * 1_000})
    assert "too large" in unfit.detail
    assert len(OutputForm.of(form()).unfit({"a": {str(n): n for n in range(15_000)}})) == 0


def test_at_most_ten_misfits_are_reported_and_each_is_short() -> None:
    schema = form(items={"type": "array", "items": {"type": "integer"}})
    unfit = OutputForm.of(schema).unfit({"items": ["x" * 1_000] * 50})
    assert len(unfit) == 10
    assert max(len(each.detail) for each in unfit) < 250
