"""The request of Converse and ConverseStream, from our messages and tools."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from pydantic import BaseModel

from teamrun.errors import ModelError, UsageError
from teamrun.json_types import JsonMapping, JsonObject
from teamrun.messages.llm import LLMMessage
from teamrun.models.answer_forms import ANSWER_TOOL, AS_JSON, NO_TOOLS, answer_tool
from teamrun.models.base import ModelInfo, ToolChoice
from teamrun.models.bedrock.arguments import BedrockArgs, checked_arguments, on_wire
from teamrun.models.bedrock.guardrails import Guardrail
from teamrun.models.bedrock.messages import MessageWriter
from teamrun.models.bedrock.schemas import answer_schema
from teamrun.models.bedrock.traits import Traits, base_id
from teamrun.models.block_messages import Conversation
from teamrun.models.families import ModelFamily
from teamrun.models.structured import NotStrict
from teamrun.models.tool_names import ToolNames
from teamrun.tools.schema import ToolSchema

__all__ = ["Request", "RequestBuilder"]

Json = JsonObject

_CACHE_POINT: Json = {"cachePoint": {"type": "default"}}
_THINKING = ("thinking", "reasoning_config", "reasoningConfig")
"""Arguments of models that let them reason before they answer; they exclude a forced tool."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The arguments of one call, and the data needed to read the answer."""

    body: Json
    names: ToolNames
    provider: str
    """The name under which reasoning is kept."""
    model: str = ""
    """The id of the model, without the ARN around it."""
    family: str = ModelFamily.UNKNOWN
    answer_tool: str | None = None
    """The tool whose arguments are the text of the answer."""
    streams: bool = True
    """Whether ConverseStream takes it."""

    @property
    def has_tools(self) -> bool:
        """Whether it has tools."""
        return "toolConfig" in self.body

    def call_ids(self) -> set[str]:
        """The ids of earlier calls in the conversation."""
        messages: list[Json] = self.body["messages"]
        blocks: list[Json] = [block for message in messages for block in message["content"]]
        return {block["toolUse"]["toolUseId"] for block in blocks if "toolUse" in block}


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestBuilder:
    """Builds requests for one client."""

    model: str
    info: ModelInfo
    traits: Traits
    provider: str
    arguments: BedrockArgs
    has_schemas: bool
    """Whether the SDK knows `outputConfig`."""
    base_model: str | None = None
    """The id of the model behind an ARN that does not contain it."""
    guardrail: Guardrail | None = None
    add_name_prefixes: bool | None = None
    prompt_caching: bool = False

    @property
    def window(self) -> int:
        """The size of the model's context window, in tokens."""
        return self.traits.window

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
            UsageError: The model does not support the request, or arguments contradict each other.
            ModelError: JSON cannot express the request.
        """
        names = ToolNames()
        arguments: Any = {**self.arguments, **(checked_arguments(extra) if extra else {})}
        body = on_wire(arguments)
        conversation = self._conversation(messages)
        config = self._tools(tools, tool_choice, names)
        used = _used_tools(conversation) if config is None and self.info["function_calling"] else []
        if used:
            # Converse refuses calls and results in a request without tools.
            config = {"tools": [_spec(ToolSchema(name=name), names) for name in used]}
            conversation.system.append({"text": NO_TOOLS})
        answer_tool = None
        if isinstance(json_output, type):
            answer_tool, config = self._answer(json_output, body, config, names)
        elif json_output:
            self._need(self.info["json_output"], "JSON output")
            conversation.system.append({"text": AS_JSON})
        if self.prompt_caching:
            self._cache(conversation, config)
        body |= self._members(conversation, config)
        _check_writable(body)
        streams = config is None or self.traits.streams_tools
        return Request(
            body=body,
            names=names,
            provider=self.provider,
            model=base_id(self.base_model or self.model),
            family=self.info["family"],
            answer_tool=answer_tool,
            streams=streams,
        )

    def _conversation(self, messages: Sequence[LLMMessage]) -> Conversation:
        writer = MessageWriter(
            model=self.model,
            info=self.info,
            traits=self.traits,
            provider=self.provider,
            add_name_prefixes=self.add_name_prefixes,
        )
        return writer.write(messages)

    def _members(self, conversation: Conversation, config: Json | None) -> Json:
        messages, system = conversation.messages, conversation.system
        if system and not self.traits.system:
            messages[0]["content"] = [*system, *messages[0]["content"]]
            system = []
        return {
            "modelId": self.model,
            "messages": messages,
            **({"system": system} if system else {}),
            **({"toolConfig": config} if config is not None else {}),
            **({"guardrailConfig": self.guardrail.on_wire()} if self.guardrail else {}),
        }

    def _tools(
        self, tools: Sequence[ToolSchema], choice: ToolChoice, names: ToolNames
    ) -> Json | None:
        if not tools:
            return None
        if not self.info["function_calling"]:
            raise UsageError(f"The model {self.model!r} cannot call tools; choose one that can.")
        if choice == "none":  # Converse has no such choice
            return None
        specs = {tool["name"]: _spec(tool, names) for tool in tools}
        if choice == "auto":
            return {"tools": list(specs.values())}
        if isinstance(choice, str):
            return {"tools": list(specs.values()), "toolChoice": self._forced(None)}
        if (forced := choice["name"]) not in specs:
            raise UsageError(f"tool_choice names {forced!r}, which is not among the tools.")
        wanted = self._forced(names.add(forced))
        kept = list(specs.values()) if "tool" in wanted else [specs[forced]]
        return {"tools": kept, "toolChoice": wanted}

    def _forced(self, name: str | None) -> Json:
        """The choice that forces a call: of one tool if the model takes that, else of any."""
        choices = self.traits.choices
        if name is not None and "tool" in choices:
            return {"tool": {"name": name}}
        if "any" in choices:
            return {"any": {}}
        raise UsageError(
            f"The model {self.model!r} cannot be forced to call a tool; use tool_choice='auto', "
            "or choose another model."
        )

    def _answer(
        self,
        model: type[BaseModel],
        body: Json,
        config: Json | None,
        names: ToolNames,
    ) -> tuple[str | None, Json | None]:
        """Ask for an answer of that type; returns the tool for it, if there is one, and the tools.

        The answer has a schema where the model takes one. Elsewhere it is the call of a tool.
        """
        self._need(self.info["structured_output"], "structured output")
        if config is not None and "toolChoice" in config:
            return None, config  # this call is for a tool; the answer comes later
        thinks = any(name in body.get("additionalModelRequestFields", {}) for name in _THINKING)
        able = self.has_schemas and self.traits.schemas
        if able and (thinks or able == "first"):
            try:
                body["outputConfig"] = {
                    **body.get("outputConfig", {}),
                    "textFormat": answer_schema(model),
                }
                return None, config
            except NotStrict:
                pass
        name = names.add(ANSWER_TOOL)
        tool = _spec(answer_tool(model), names)
        made: Json = {"tools": [*(config["tools"] if config else ()), tool]}
        if self.traits.choices and not thinks:
            made["toolChoice"] = self._forced(None if config else name)
        return name, made

    def _cache(self, conversation: Conversation, config: Json | None) -> None:
        """Mark where the prefix ends that the next call of the conversation repeats."""
        if not self.traits.caches:
            return
        if config is not None and self.traits.caches == "tools":
            config["tools"].append(_CACHE_POINT)
        if conversation.system:
            conversation.system.append(_CACHE_POINT)
        conversation.messages[-1]["content"].append(_CACHE_POINT)

    def _need(self, able: bool, what: str) -> None:
        if not able:
            raise UsageError(f"The model {self.model!r} has no {what}; choose one that has.")


def _used_tools(conversation: Conversation) -> list[str]:
    """The names of the tools that a conversation has used, as they are on the wire."""
    blocks: list[Json] = [
        block for message in conversation.messages for block in message["content"]
    ]
    return list(dict.fromkeys(b["toolUse"]["name"] for b in blocks if "toolUse" in b))


def _spec(tool: ToolSchema, names: ToolNames) -> Json:
    parameters = cast(Json, tool.get("parameters") or {"properties": {}})
    spec: Json = {
        "name": names.add(tool["name"]),
        "inputSchema": {"json": {"type": "object", **parameters}},
    }
    if description := tool.get("description", "").strip():
        spec["description"] = description
    return {"toolSpec": spec}


def _check_writable(body: Json) -> None:
    """Refuse numbers that JSON does not have, which the SDK would send as words."""
    parts = {name: body.get(name) for name in ("toolConfig", "additionalModelRequestFields")}
    try:
        json.dumps([parts, body.get("inferenceConfig")], allow_nan=False)
    except (ValueError, TypeError, RecursionError) as error:
        raise ModelError(
            f"The request cannot be written as JSON: {error}. Check the tools' schemas and "
            "additional_model_request_fields for values that JSON does not have, such as NaN."
        ) from error
