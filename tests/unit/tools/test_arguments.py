"""The schema that a model sees, and the arguments that a function gets."""

import functools
import json
import math
from enum import Enum
from typing import Annotated, Any, Literal, Optional

import pytest
from pydantic import BaseModel, Field

from teamrun.core import CancellationToken
from teamrun.errors import InvalidArguments, ToolError, UsageError
from teamrun.tools import FunctionTool, ToolContext


class Place(BaseModel):
    city: str
    country: str = "NO"


class Tree(BaseModel):
    title: str
    children: "list[Tree]" = []


class Unit(Enum):
    M = "m"
    KM = "km"


def parameters(func: Any, **options: Any) -> Any:
    return FunctionTool(func, "test", **options).schema.get("parameters")


async def call(func: Any, **args: Any) -> Any:
    return await FunctionTool(func, "test").run_json(args)


@pytest.mark.behaviour("tool.schema", "tool.schema.title")
def test_a_schema_is_made_from_the_annotations() -> None:
    def weather(
        place: Annotated[str, "where it is"],
        days: int = 3,
        unit: Literal["C", "F"] = "C",
        depth: Annotated[float, Field(ge=0, description="below ground")] = 0,
    ) -> str:
        """Tell the weather."""
        raise NotImplementedError

    tool = FunctionTool(weather)

    assert tool.schema == {
        "name": "weather",
        "description": "Tell the weather.",
        "parameters": {
            "type": "object",
            "properties": {
                "place": {"description": "where it is", "type": "string"},
                "days": {"default": 3, "type": "integer"},
                "unit": {"default": "C", "enum": ["C", "F"], "type": "string"},
                "depth": {
                    "default": 0,
                    "description": "below ground",
                    "minimum": 0,
                    "type": "number",
                },
            },
            "required": ["place"],
            "additionalProperties": False,
        },
        "strict": False,
    }


def test_definitions_are_written_where_they_are_used() -> None:
    def route(start: Place, unit: Unit) -> str:
        raise NotImplementedError

    found = parameters(route)

    assert "$defs" not in found
    assert found["properties"]["start"]["properties"]["city"] == {"type": "string"}
    assert found["properties"]["unit"] == {"enum": ["m", "km"], "type": "string"}


class Bounds(BaseModel):
    default: float = math.inf
    low: float = Field(default=0, le=math.inf, ge=-math.inf)


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
async def test_a_number_that_json_does_not_have_is_left_out_of_a_schema(value: float) -> None:
    def f(
        a: float = value,
        b: Annotated[list[float], Field(examples=[[value]])] = [value],  # noqa: B006
        c: Bounds = Bounds(),  # noqa: B008
        default: float = value,
    ) -> list[float]:
        return [a, *b, c.default, default]

    schema = parameters(f)
    json.dumps(schema, allow_nan=False)
    assert list(schema["properties"]) == ["a", "b", "c", "default"]
    assert list(schema["properties"]["c"]["properties"]) == ["default", "low"]
    assert schema["properties"]["a"] == {"type": "number"}
    assert schema["required"] == []
    assert repr(await call(f)) == repr([value, value, math.inf, value])


def test_a_class_that_contains_itself_keeps_its_definition() -> None:
    def plant(tree: Tree) -> str:
        raise NotImplementedError

    found = parameters(plant)

    assert found["$defs"]["Tree"]["properties"]["title"] == {"type": "string"}
    child = found["properties"]["tree"]["properties"]["children"]["items"]
    assert child == {"$ref": "#/$defs/Tree"}


@pytest.mark.behaviour("tool.schema")
def test_strict_tools_take_no_defaults() -> None:
    def strict(a: int, b: int) -> int:
        raise NotImplementedError

    def loose(a: int, b: int = 1) -> int:
        raise NotImplementedError

    assert FunctionTool(strict, "d", strict=True).schema.get("strict") is True
    with pytest.raises(ValueError) as raised:
        FunctionTool(loose, "d", strict=True)
    assert str(raised.value) == (
        "Strict mode is enabled, but not all input arguments are marked as required. "
        "Default arguments are not allowed in strict mode."
    )


@pytest.mark.behaviour("tool.thread")
async def test_injected_parameters_are_hidden_from_the_model() -> None:
    async def tool(
        a: int,
        token: CancellationToken,
        context: Optional[ToolContext] = None,  # noqa: UP045 - people write it
    ) -> str:
        assert isinstance(token, CancellationToken)
        assert isinstance(context, ToolContext)
        return f"{a} {context.call_id}"

    given = ToolContext(call_id="c7")

    assert list(parameters(tool)["properties"]) == ["a"]
    value = await FunctionTool(tool, "d").run_json({"a": 1}, context=given)
    assert value == "1 c7"


async def test_every_parameter_of_such_a_type_is_filled_in_whatever_is_written_around_it() -> None:
    async def tool(
        a: int,
        first: Annotated[ToolContext, "what it is"],
        second: Annotated[ToolContext | None, Field(description="the same")] = None,
        third: Optional[Annotated[CancellationToken, "x"]] = None,  # noqa: UP045
        fourth: CancellationToken = CancellationToken(),  # noqa: B008
    ) -> list[Any]:
        return [a, first, second, third, fourth]

    given, token = ToolContext(call_id="c7"), CancellationToken()

    assert list(parameters(tool)["properties"]) == ["a"]
    value = await FunctionTool(tool, "d").run_json({"a": 1}, token, context=given)
    assert value == [1, given, given, token, token]


async def test_a_field_as_the_default_describes_its_parameter() -> None:
    def tool(
        a: int = Field(7, description="How many.", ge=3),
        b: list[str] = Field(default_factory=list),  # noqa: B008 - intended
        c: str = Field(description="Needed."),
        schema: int = Field(2, description="A name that pydantic has."),
        d: Annotated[int, "Words."] = Field(5, le=9),
    ) -> Any:
        return a, b, c, schema, d

    assert parameters(tool)["required"] == ["c"]
    properties = parameters(tool)["properties"]
    assert properties["a"] == {
        "type": "integer",
        "description": "How many.",
        "default": 7,
        "minimum": 3,
    }
    assert properties["schema"]["description"] == "A name that pydantic has."
    assert (properties["d"]["description"], properties["d"]["maximum"]) == ("Words.", 9)
    assert await call(tool, c="x") == (7, [], "x", 2, 5)
    with pytest.raises(ToolError):
        await call(tool, a=2, c="x")


@pytest.mark.behaviour("tool.thread")
async def test_a_token_is_known_by_its_usual_name_too() -> None:
    token = CancellationToken()

    async def tool(a: int, cancellation_token) -> bool:  # type: ignore[no-untyped-def]
        return cancellation_token is token

    value = await FunctionTool(tool, "d").run_json({"a": 1}, token)  # pyright: ignore[reportUnknownArgumentType]
    assert value is True


async def test_arguments_arrive_as_the_types_that_were_asked_for() -> None:
    async def tool(place: Place, unit: Unit, n: int = 2) -> tuple[Any, ...]:
        return place, unit, n

    assert await call(tool, place={"city": "Oslo"}, unit="km") == (Place(city="Oslo"), Unit.KM, 2)


@pytest.mark.behaviour("tool.errors")
async def test_arguments_that_do_not_fit_are_named() -> None:
    async def tool(place: Place, n: int) -> None:
        raise NotImplementedError

    with pytest.raises(InvalidArguments) as caught:
        await call(tool, place={}, n="many")

    assert caught.value.code == "invalid_arguments"
    assert [name in caught.value.message for name in ("'place.city'", "'n'")] == [True, True]


async def test_names_that_pydantic_keeps_for_itself_are_just_names() -> None:
    async def tool(schema: str, json: int, _private: int, model_config: str) -> Any:
        return schema, json, _private, model_config

    names = ["schema", "json", "_private", "model_config"]
    assert list(parameters(tool)["properties"]) == names
    assert await call(tool, schema="s", json=1, _private=2, model_config="m") == ("s", 1, 2, "m")


class Shop:
    def price(self, item: str) -> str:
        """The price of an item."""
        return f"{item}: 7"

    async def __call__(self, item: str) -> str:
        return f"sold {item}"


async def test_methods_partials_and_callable_objects_are_functions_too() -> None:
    def add(a: int, b: int) -> int:
        return a + b

    shop = Shop()

    assert await call(shop.price, item="tea") == "tea: 7"
    assert FunctionTool(shop.price).description == "The price of an item."
    assert await call(functools.partial(add, b=2), a=1) == 3
    assert FunctionTool(functools.partial(add, b=2), "d").name == "add"
    assert await call(shop, item="tea") == "sold tea"
    assert FunctionTool(shop, "d").name == "Shop"


async def test_a_function_that_returns_a_coroutine_is_awaited() -> None:
    async def slow(a: int) -> int:
        return a

    def quick(a: int) -> Any:
        return slow(a)

    assert await call(quick, a=3) == 3


@pytest.mark.behaviour("tool.annotations")
def test_functions_that_a_model_cannot_call_are_refused() -> None:
    def untyped(a) -> None:  # type: ignore[no-untyped-def]
        raise NotImplementedError

    def many(*numbers: int) -> None:
        raise NotImplementedError

    def positional(a: int, /) -> None:
        raise NotImplementedError

    for func, parameter in ((untyped, "a"), (many, "numbers"), (positional, "a")):  # pyright: ignore[reportUnknownVariableType]
        with pytest.raises(UsageError) as raised:
            FunctionTool(func, "d")  # pyright: ignore[reportUnknownArgumentType]
        assert raised.value.data == {"function": func.__name__, "parameter": parameter}
