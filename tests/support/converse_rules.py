"""The rules by which Bedrock refuses requests to Converse.

Names, types, enumerations and patterns come from botocore's own model of the service. The others
are those of `ValidationException`s that users report.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import pairwise
from typing import Any, cast

from botocore.model import ListShape, MapShape, Shape, StringShape, StructureShape
from botocore.session import get_session

__all__ = ["faults_of"]

Json = dict[str, Any]

_NO_TOOLS = ("titan", "llama3-8b", "llama3-70b", "mistral-7b", "mixtral", "deepseek.r1")
_NO_SYSTEM = ("titan", "mistral-7b", "mixtral")
_NO_STREAMED_TOOLS = ("llama3-1", "llama3-3", "llama4", "mistral-large-24", "command-r")
_RICH = ("anthropic.", "amazon.nova")


def faults_of(model: str, body: Json, *, streamed: bool) -> list[str]:
    """What the service has against a request."""
    shape = _input_shape("ConverseStream" if streamed else "Converse")
    found = list(_misfits(shape, {**body, "modelId": model}, ""))
    return found or [*_conversation_faults(body), *_model_faults(model, body, streamed=streamed)]


@cache
def _input_shape(operation: str) -> Shape:
    service = get_session().get_service_model("bedrock-runtime")
    shape = service.operation_model(operation).input_shape
    assert shape is not None
    return shape


def _misfits(shape: Shape, value: Any, where: str) -> Iterator[str]:
    rules: Json = cast(Any, shape).metadata
    if rules.get("document"):
        return
    match shape:
        case StructureShape():
            yield from _structure_misfits(shape, value, where)
        case ListShape():
            if not isinstance(value, list):
                yield f"{where} is no list"
                return
            for index, item in enumerate(cast("list[Any]", value)):
                yield from _misfits(shape.member, item, f"{where}[{index}]")
        case MapShape():
            for key, item in cast(Json, value).items():
                yield from _misfits(shape.key, key, where)
                yield from _misfits(shape.value, item, f"{where}.{key}")
        case StringShape():
            yield from _text_misfits(shape, value, where)
        case _:
            yield from _number_misfits(shape, value, where)


def _structure_misfits(shape: StructureShape, value: Any, where: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{where} is no object"
        return
    node = cast(Json, value)
    yield from (f"{where}.{name} is unknown" for name in node.keys() - shape.members.keys())
    yield from (f"{where}.{name} is missing" for name in shape.required_members if name not in node)
    if shape.is_tagged_union and len(node) != 1:
        yield f"{where} must have one member, not {sorted(node)}"
    for name in node.keys() & shape.members.keys():
        yield from _misfits(shape.members[name], node[name], f"{where}.{name}")


def _text_misfits(shape: StringShape, value: Any, where: str) -> Iterator[str]:
    rules: Json = cast(Any, shape).metadata
    if not isinstance(value, str):
        yield f"{where} is no text"
        return
    if shape.enum and value not in shape.enum:
        yield f"{where} is {value!r}, not one of {shape.enum}"
    if not rules.get("min", 0) <= len(value) <= rules.get("max", 10**9):
        yield f"{where} has {len(value)} characters"
    if "pattern" in rules and not re.fullmatch(rules["pattern"], value):
        yield f"{where} does not match {rules['pattern']}"


def _number_misfits(shape: Shape, value: Any, where: str) -> Iterator[str]:
    rules: Json = cast(Any, shape).metadata
    if shape.type_name in ("integer", "long", "float", "double"):
        kinds = (int,) if shape.type_name in ("integer", "long") else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds):
            yield f"{where} is no {shape.type_name}"
        elif not rules.get("min", value) <= value <= rules.get("max", value):
            yield f"{where} is {value}"
    elif shape.type_name == "boolean" and not isinstance(value, bool):
        yield f"{where} is no boolean"


def _conversation_faults(body: Json) -> Iterator[str]:
    messages: list[Json] = body.get("messages", [])
    roles = [message["role"] for message in messages]
    if not roles or roles[0] != "user":
        yield "A conversation must start with a user message. Try again with one."
    if any(one == other for one, other in pairwise(roles)):
        yield "A conversation must alternate between user and assistant roles."
    if roles and roles[-1] != "user":
        yield "The model requires the last turn in the conversation to be a user turn."
    for index, message in enumerate(messages):
        if not message["content"]:
            yield f"The content field in the Message object at messages.{index} is empty."
        yield from _blank(message["content"], f"messages.{index}.content")
    yield from _blank(body.get("system", []), "system")
    yield from _tool_faults(body, messages)


def _blank(blocks: Sequence[Json], where: str) -> Iterator[str]:
    for index, block in enumerate(blocks):
        if "text" in block and not str(block["text"]).strip():
            yield f"The text field in the ContentBlock object at {where}.{index} is blank."
        if "toolResult" in block:
            yield from _blank(block["toolResult"]["content"], f"{where}.{index}.toolResult")


def _tool_faults(body: Json, messages: Sequence[Json]) -> Iterator[str]:
    waiting: list[str] = []
    used = False
    for index, message in enumerate(messages):
        calls = [block["toolUse"] for block in message["content"] if "toolUse" in block]
        uses = [call["toolUseId"] for call in calls]
        results = [b["toolResult"]["toolUseId"] for b in message["content"] if "toolResult" in b]
        used = used or bool(uses or results)
        if len(set(uses)) < len(uses):
            yield f"messages.{index} contains duplicate Ids: {uses}"
        if sorted(results) != sorted(waiting):
            yield (
                f"Expected toolResult blocks at messages.{index}.content for the following Ids: "
                f"{waiting}, not {results}"
            )
        waiting = uses
        if not all(isinstance(call["input"], dict) for call in calls):
            yield "The format of the value at toolUse.input is invalid. Provide a json object."
    config: Json | None = body.get("toolConfig")
    if config is not None:
        yield from _config_faults(config)
    elif used:
        yield "The toolConfig field must be defined when using toolUse and toolResult blocks."


def _config_faults(config: Json) -> Iterator[str]:
    specs = [tool["toolSpec"] for tool in config["tools"] if "toolSpec" in tool]
    names = [spec["name"] for spec in specs]
    if len(set(names)) < len(names):
        yield f"The tools have duplicate names: {names}"
    if any(spec["inputSchema"]["json"].get("type") != "object" for spec in specs):
        yield "The value at toolConfig.tools.0.toolSpec.inputSchema.json.type must be object."
    chosen = config.get("toolChoice", {}).get("tool", {}).get("name")
    if chosen is not None and chosen not in names:
        yield f"The tool {chosen!r} of toolChoice is not among the tools."


def _model_faults(model: str, body: Json, *, streamed: bool) -> Iterator[str]:
    def is_one_of(names: Sequence[str]) -> bool:
        return any(name in model for name in names)

    config: Json | None = body.get("toolConfig")
    if body.get("system") and is_one_of(_NO_SYSTEM):
        yield "This model doesn't support system messages. Try again without them."
    if config is not None and is_one_of(_NO_TOOLS):
        yield "This model doesn't support tool use."
    if config is not None and streamed and is_one_of(_NO_STREAMED_TOOLS):
        yield "This model doesn't support tool use in streaming mode."
    if config is not None and "toolChoice" in config and "llama" in model:
        yield "This model doesn't support the toolConfig.toolChoice field. Remove it and try again."
    if not is_one_of(_RICH):
        for message in body["messages"]:
            kinds = {"toolResult" in block for block in message["content"]}
            if message["role"] == "user" and len(kinds) > 1:
                yield "This model doesn't take text and tool results in one message."
            if any("status" in block.get("toolResult", {}) for block in message["content"]):
                yield "This model doesn't support the status field."
