"""The rules by which Anthropic refuses requests to the Messages API.

Names and types come from the SDK. The others are those of the API's documentation and of
`invalid_request_error`s that users report.
"""

import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from typing import Any

from pydantic import TypeAdapter, ValidationError

__all__ = ["faults_of", "prepare"]

Json = dict[str, Any]

_BEYOND = ("temperature", "top_p", "top_k")
"""Members that the API still takes for earlier models, and the SDK no longer names."""
_ID = re.compile(r"[a-zA-Z0-9_-]+")
_MARKS = 4


def faults_of(body: Json) -> list[str]:
    """What the service has against a request."""
    return [*_misfits(body), *_conversation_faults(body), *_option_faults(body)]


def prepare() -> None:
    """Load the SDK's types now, and not while a client with a short timeout waits."""
    _adapter()


@cache
def _adapter() -> TypeAdapter[Any]:
    from anthropic.types import message_create_params as params  # takes long to import

    return TypeAdapter(params.MessageCreateParamsNonStreaming)


def _misfits(body: Json) -> Iterator[str]:
    apart = {*_BEYOND, "stream"}
    members = {name: value for name, value in body.items() if name not in apart}
    try:
        _adapter().validate_python(members)
    except ValidationError as error:
        for fault in error.errors()[:3]:
            yield f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}"
    from anthropic.types import message_create_params as params

    for name in members:
        if name not in params.MessageCreateParamsNonStreaming.__annotations__:
            yield f"{name}: Extra inputs are not permitted"


def _conversation_faults(body: Json) -> Iterator[str]:
    messages: list[Json] = body.get("messages", [])
    if not messages or messages[0]["role"] != "user":
        yield 'messages: first message must use the "user" role'
    if messages and messages[-1]["role"] != "user":
        yield "This model does not support assistant message prefill"
    for first, second in pairwise(messages):
        if first["role"] == second["role"]:
            yield "messages: roles must alternate"  # the API joins them, but no client needs that
    for index, message in enumerate(messages):
        yield from _message_faults(messages, index, message["content"])
    has_calls = any(block["type"] == "tool_use" for m in messages for block in m["content"])
    if has_calls and not body.get("tools"):
        yield "Requests which include `tool_use` blocks must define tools"
    for block in body.get("system", []):
        if not block["text"].strip():
            yield "system: text content blocks must be non-empty"


def _message_faults(messages: list[Json], index: int, content: list[Json]) -> Iterator[str]:
    before: list[Json] = messages[index - 1]["content"] if index else []
    asked = [block["id"] for block in before if block["type"] == "tool_use"]
    given = [block["tool_use_id"] for block in content if block["type"] == "tool_result"]
    if sorted(asked) != sorted(given):
        yield f"messages.{index}: `tool_use` ids and `tool_result` blocks do not match"
    if given and any(block["type"] != "tool_result" for block in content[: len(given)]):
        yield f"messages.{index}: `tool_result` blocks must come first"
    for block in content:
        if block["type"] == "text" and not block["text"].strip():
            yield "messages: text content blocks must contain non-whitespace text"
        if block["type"] == "tool_use" and not _ID.fullmatch(block["id"]):
            yield f"messages.{index}.tool_use.id: String should match pattern"
        if block["type"] == "thinking" and not block["signature"]:
            yield f"messages.{index}.thinking.signature: Field required"


def _option_faults(body: Json) -> Iterator[str]:
    if body.get("max_tokens", 0) < 1:
        yield "max_tokens: must be greater than or equal to 1"
    thinking: Json = body.get("thinking", {})
    if thinking.get("budget_tokens", 0) >= body.get("max_tokens", 0):
        yield "`max_tokens` must be greater than `thinking.budget_tokens`"
    choice: Json = body.get("tool_choice", {})
    if thinking.get("type", "disabled") != "disabled" and choice.get("type") in ("any", "tool"):
        yield "Thinking may not be enabled when tool_choice forces tool use."
    if choice and not body.get("tools"):
        yield "tool_choice may only be specified while providing tools."
    if str(body).count("'cache_control'") > _MARKS:
        yield "A maximum of 4 blocks with cache_control may be provided."
    names = [tool["name"] for tool in body.get("tools", [])]
    if len(names) != len(set(names)):
        yield "tools: Tool names must be unique."
