"""The request of the Messages API, from our messages and tools."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from teamrun.json_types import JsonMapping, JsonObject
from teamrun.messages.llm import LLMMessage
from teamrun.models.answer_forms import (
    ANSWER_TOOL,
    AS_JSON,
    answer_tool,
    unlimited,
    unlimited_schema,
)
from teamrun.models.anthropic.arguments import AnthropicArgs, checked_arguments, on_wire
from teamrun.models.anthropic.messages import MessageWriter
from teamrun.models.base import ModelInfo, ToolChoice
from teamrun.models.block_messages import Conversation
from teamrun.models.families import ModelFamily, context_window
from teamrun.models.structured import NotStrict
from teamrun.models.tool_names import ToolNames
from teamrun.models.wrong_arguments import ModelArgumentError
from teamrun.tools.schema import ToolSchema

__all__ = ["Request", "RequestBuilder"]

Json = JsonObject

_WITHOUT_SCHEMAS = re.compile(r"claude-(?:\d|instant|(?:opus|sonnet)-4(?:-[01](?!\d)|-20|@|$))")
"""Models before Claude 4.5, which take no schema for an answer.
Source: https://platform.claude.com/docs/en/build-with-claude/structured-outputs"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The request body, and the data needed to read the answer."""

    body: Json
    names: ToolNames
    provider: str
    """The name under which thoughts are kept."""
    family: str = ModelFamily.CLAUDE
    answer_tool: str | None = None
    """The tool whose arguments are the text of the answer."""

    def call_ids(self) -> set[str]:
        """The ids of earlier calls in the conversation."""
        return {block["id"] for block in _calls_in(self.body["messages"])}


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestBuilder:
    """Builds requests for one client."""

    model: str
    info: ModelInfo
    provider: str
    arguments: AnthropicArgs
    add_name_prefixes: bool | None = None
    prompt_caching: bool = False
    cache_ttl: str | None = None

    @property
    def window(self) -> int:
        """The size of the model's context window, in tokens."""
        return context_window(self.model)

    def build(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[ToolSchema],
        tool_choice: ToolChoice,
        json_output: bool | type[BaseModel] | None,
        extra: JsonMapping,
    ) -> Request:
        """The request for one call.

        Raises:
            ModelArgumentError: The model does not support the request, or arguments contradict each
                other.
        """
        names = ToolNames()
        args: Any = {**self.arguments, **(checked_arguments(extra) if extra else {})}
        body: Json = {"model": self.model, **on_wire(args, self.model)}
        conversation = self._writer().write(messages)
        self._add_tools(body, conversation, tools, tool_choice, names)
        name = None
        if isinstance(json_output, type):
            name = self._add_form(body, json_output, names)
        elif json_output:
            self._need(self.info["json_output"], "JSON output")
            conversation.system.append({"type": "text", "text": AS_JSON})
        if args.get("parallel_tool_calls") is False:
            _allow_one_call(body)
        if conversation.system:
            body["system"] = conversation.system
        body["messages"] = conversation.messages
        if self.prompt_caching:
            self._mark(body)
        return Request(
            body=body,
            names=names,
            provider=self.provider,
            family=self.info["family"],
            answer_tool=name,
        )

    @property
    def _has_schemas(self) -> bool:
        """Whether the model takes a JSON schema for its answer and for strict tools."""
        return (
            ModelFamily.is_claude(self.info["family"])
            and self.info["structured_output"]
            and _WITHOUT_SCHEMAS.match(self.model) is None
        )

    def _writer(self) -> MessageWriter:
        return MessageWriter(
            model=self.model,
            info=self.info,
            provider=self.provider,
            add_name_prefixes=self.add_name_prefixes,
        )

    def _add_tools(
        self,
        body: Json,
        conversation: Conversation,
        tools: Sequence[ToolSchema],
        choice: ToolChoice,
        names: ToolNames,
    ) -> None:
        if not tools:
            # Requests with calls and results must define tools.
            used = dict.fromkeys(call["name"] for call in _calls_in(conversation.messages))
            tools, choice = [ToolSchema(name=name) for name in used], "none"
        if not tools:
            return
        if not self.info["function_calling"]:
            raise ModelArgumentError(
                f"The model {self.model!r} cannot call tools; choose one that can."
            )
        body["tools"] = [self._tool(tool, names) for tool in tools]
        match choice:
            case "auto":
                return
            case "none":
                body["tool_choice"] = {"type": "none"}
            case "required":
                body["tool_choice"] = {"type": "any"}
            case _:
                forced = choice["name"]
                if all(tool["name"] != forced for tool in tools):
                    raise ModelArgumentError(
                        f"tool_choice names {forced!r}, which is not among the tools."
                    )
                body["tool_choice"] = {"type": "tool", "name": names.add(forced)}

    def _tool(self, schema: ToolSchema, names: ToolNames) -> Json:
        parameters: Json = {"type": "object", **(schema.get("parameters") or {"properties": {}})}
        tool: Json = {"name": names.add(schema["name"]), "input_schema": parameters}
        if description := schema.get("description", "").strip():
            tool["description"] = description
        if schema.get("strict") and self._has_schemas:
            tool |= {"strict": True, "input_schema": unlimited(parameters)}
        return tool

    def _add_form(self, body: Json, model: type[BaseModel], names: ToolNames) -> str | None:
        """Ask for an answer of that type; returns the tool for it, if there is one.

        The answer has a schema if the model takes one, and is otherwise the call of a tool.
        """
        self._need(self.info["structured_output"], "structured output")
        if body.get("tool_choice", {}).get("type") in ("any", "tool"):
            return None  # this call is for a tool; the answer comes later
        if self._has_schemas:
            try:
                schema = json.loads(unlimited_schema(model))
            except NotStrict:
                pass
            else:
                form = {"type": "json_schema", "schema": schema}
                body["output_config"] = {**body.get("output_config", {}), "format": form}
                return None
        has_tools = "tools" in body and "tool_choice" not in body
        body["tools"] = [*body.get("tools", ()), self._tool(answer_tool(model), names)]
        name = names.add(ANSWER_TOOL)
        body.pop("tool_choice", None)
        thinks = body.get("thinking", {}).get("type", "disabled") != "disabled"
        if not thinks and not self._has_schemas:
            # A model that thinks cannot be forced to call a tool, nor can some from Claude 5 on.
            body["tool_choice"] = {"type": "any"} if has_tools else {"type": "tool", "name": name}
        return name

    def _mark(self, body: Json) -> None:
        """Mark where the prefix ends that the next call of the conversation repeats."""
        mark: Json = {"type": "ephemeral"}
        if self.cache_ttl is not None:
            mark["ttl"] = self.cache_ttl
        for blocks in (body.get("tools"), body.get("system"), body["messages"][-1]["content"]):
            if blocks:
                blocks[-1] = {**blocks[-1], "cache_control": mark}

    def _need(self, able: bool, what: str) -> None:
        if not able:
            raise ModelArgumentError(
                f"The model {self.model!r} has no {what}; choose one that has."
            )


def _allow_one_call(body: Json) -> None:
    choice: Json = body.get("tool_choice", {"type": "auto"})
    if "tools" in body and choice["type"] != "none":
        body["tool_choice"] = {**choice, "disable_parallel_tool_use": True}


def _calls_in(messages: Sequence[Json]) -> list[Json]:
    blocks: list[Json] = [block for message in messages for block in message["content"]]
    return [block for block in blocks if block["type"] == "tool_use"]
