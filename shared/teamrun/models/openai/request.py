"""The request of an OpenAI chat completion, from our messages and tools."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

from pydantic import BaseModel

from teamrun.json_types import JsonMapping, JsonObject, member
from teamrun.messages.llm import LLMMessage
from teamrun.models.base import ModelInfo, ToolChoice
from teamrun.models.create_args import CreateArgs, checked
from teamrun.models.families import context_window
from teamrun.models.openai.messages import MessageWriter
from teamrun.models.quirks import NO_QUIRKS, Quirks
from teamrun.models.structured import response_format, strict_schema
from teamrun.models.tool_names import ToolNames
from teamrun.models.turn_texts import answer_in, instructed
from teamrun.models.wrong_arguments import ModelArgumentError
from teamrun.tools.schema import ToolSchema

__all__ = ["Request", "RequestBuilder"]

Json = JsonObject


@dataclass(frozen=True, slots=True)
class Request:
    """The request body, and the data needed to read the answer."""

    body: Json
    names: ToolNames
    provider: str = ""
    """The server, as `provider_of` names it."""
    hides_thoughts: bool = False
    """Whether the thoughts of the answer are not to be sent back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestBuilder:
    """Builds requests for one client."""

    model: str
    sent_as: str = ""
    """The name in the requests, if it differs from the model's: that of a deployment."""
    info: ModelInfo
    create_args: CreateArgs
    provider: str = ""
    """The server, as `provider_of` names it."""
    add_name_prefixes: bool = False
    include_name_in_message: bool = True
    rename_max_tokens: bool = False
    """Send `max_tokens` as `max_completion_tokens`: reasoning models refuse the older name."""
    quirks: Quirks = NO_QUIRKS

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
        body: Json = {**self.create_args, **(checked(extra) if extra else {})}
        body["model"] = self.sent_as or self.model
        body["messages"] = self._writer().write(messages)
        schemas = list(tools)
        if not schemas and self.info["function_calling"]:
            schemas, tool_choice = _tools_in(body["messages"]), "none"
        self._add_tools(body, schemas, tool_choice, names)
        self._add_format(body, json_output)
        if self.rename_max_tokens and "max_tokens" in body:
            body.setdefault("max_completion_tokens", body.pop("max_tokens"))
        self._fit(body)
        given = {key: value for key, value in body.items() if value is not None}
        return Request(given, names, self.provider, not self.quirks.thoughts)

    def _writer(self) -> MessageWriter:
        return MessageWriter(
            model=self.model,
            info=self.info,
            provider=self.provider,
            add_name_prefixes=self.add_name_prefixes,
            include_name_in_message=self.include_name_in_message,
            quirks=self.quirks,
        )

    def _fit(self, body: Json) -> None:
        """Write what the server takes in another form."""
        for name, theirs in self.quirks.renamed.items():
            if name in body:
                body.setdefault(theirs, body.pop(name))
        wanted: Json = body.get("response_format") or {}
        kind, has_tools = wanted.get("type"), body.get("tool_choice", "none") != "none"
        if kind not in ("json_schema", "json_object"):
            return
        refused = has_tools and not self.quirks.format_beside_tools
        if refused:
            del body["response_format"]
        elif kind == "json_schema" and not self.quirks.schemas:
            body["response_format"], refused = {"type": "json_object"}, True
        if refused:
            schema = member(wanted, "json_schema").get("schema") or {"type": "object"}
            text = answer_in(schema, beside_tools=has_tools)
            body["messages"] = instructed(body["messages"], [text])

    def _add_tools(
        self,
        body: Json,
        tools: list[ToolSchema],
        choice: ToolChoice,
        names: ToolNames,
    ) -> None:
        if not tools:
            body.pop("parallel_tool_calls", None)  # refused by the API if there are no tools
            return
        if not self.info["function_calling"]:
            raise ModelArgumentError(
                f"The model {self.model!r} cannot call tools; choose one that can."
            )
        strict = self.quirks.strict_tools
        body["tools"] = [_tool(tool, names, strict=strict) for tool in tools]
        if isinstance(choice, str):
            body["tool_choice"] = self.quirks.required if choice == "required" else choice
            return
        forced = choice["name"]
        if all(tool["name"] != forced for tool in tools):
            raise ModelArgumentError(f"tool_choice names {forced!r}, which is not among the tools.")
        if self.quirks.names_tools:
            body["tool_choice"] = {"type": "function", "function": {"name": names.add(forced)}}
            return
        body["tools"] = [
            _tool(tool, names, strict=strict) for tool in tools if tool["name"] == forced
        ]
        body["tool_choice"] = self.quirks.required

    def _add_format(self, body: Json, json_output: bool | type[BaseModel] | None) -> None:
        wanted = body.get("response_format") if json_output is None else json_output
        match wanted:
            case None | dict():
                return
            case True:
                self._need(self.info["json_output"], "JSON output")
                body["response_format"] = {"type": "json_object"}
            case False:
                body["response_format"] = {"type": "text"}
            case type():
                self._need(self.info["structured_output"], "structured output")
                body["response_format"] = response_format(wanted)
            case _:
                assert_never(wanted)

    def _need(self, able: bool, what: str) -> None:
        if not able:
            raise ModelArgumentError(
                f"The model {self.model!r} has no {what}; choose one that has."
            )


def _tools_in(wire: Sequence[Json]) -> list[ToolSchema]:
    """Descriptions of the tools that a conversation has used.

    Some servers (LiteLLM's, Bedrock's) refuse calls and results in a request without `tools`.
    """
    calls = [call["function"] for part in wire for call in part.get("tool_calls", ())]
    return [ToolSchema(name=name) for name in dict.fromkeys(call["name"] for call in calls)]


def _tool(schema: ToolSchema, names: ToolNames, *, strict: bool) -> Json:
    function: Json = {
        "name": names.add(schema["name"]),
        "description": schema.get("description", ""),
        "parameters": schema.get("parameters") or {"type": "object", "properties": {}},
    }
    if strict and schema.get("strict"):
        function |= {"strict": True, "parameters": strict_schema(function["parameters"])}
    return {"type": "function", "function": function}
