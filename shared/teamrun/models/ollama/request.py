"""The request of Ollama's `/api/chat`, from our messages and tools."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, assert_never, cast

from pydantic import BaseModel

from teamrun.json_types import JsonMapping, JsonObject
from teamrun.messages.llm import LLMMessage
from teamrun.models.base import ModelInfo, ToolChoice
from teamrun.models.ollama.arguments import OllamaArgs, checked_arguments, joined, on_wire
from teamrun.models.ollama.messages import MessageWriter
from teamrun.models.tool_names import ToolNames
from teamrun.models.turn_texts import answer_in, instructed
from teamrun.models.wrong_arguments import ModelArgumentError
from teamrun.tools.schema import ToolSchema

__all__ = ["Request", "RequestBuilder"]

Json = JsonObject

_WINDOW: Final = 4_096
"""Tokens: the server's default on most machines. It depends on their memory."""
_MUST_CALL: Final = "Call one of your tools now. Do not answer with text."
_MUST_CALL_ONE: Final = "Call the tool {} now. Do not answer with text."


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The body of a request, and the data needed to read the answer."""

    body: Json
    names: ToolNames
    provider: str
    """The server, as `provider_of` names it."""

    def call_ids(self) -> set[str]:
        """The ids of earlier calls in the conversation."""
        messages: list[Json] = self.body["messages"]
        return {call["id"] for message in messages for call in message.get("tool_calls", ())}


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestBuilder:
    """Builds requests for one client."""

    model: str
    info: ModelInfo
    arguments: OllamaArgs
    provider: str
    add_name_prefixes: bool | None = None

    @property
    def window(self) -> int:
        """The size of the model's context window, in tokens."""
        given: Any = (self.arguments.get("options") or {}).get("num_ctx")
        size = self.arguments.get("num_ctx") or given
        return size if isinstance(size, int) else _WINDOW

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
        arguments = joined(self.arguments, checked_arguments(extra)) if extra else self.arguments
        wire = MessageWriter(
            model=self.model,
            info=self.info,
            provider=self.provider,
            add_name_prefixes=self.add_name_prefixes,
        ).write(messages)
        body: Json = {"model": self.model, "messages": wire, **on_wire(arguments)}
        instructions = self._add_tools(body, tools, tool_choice, names)
        wanted = arguments.get("response_format") if json_output is None else json_output
        instructions += self._add_format(body, wanted)
        if instructions:
            body["messages"] = instructed(wire, instructions)
        return Request(body=body, names=names, provider=self.provider)

    def _add_tools(
        self, body: Json, tools: Sequence[ToolSchema], choice: ToolChoice, names: ToolNames
    ) -> list[str]:
        """Add the tools; returns what the model has to be told, since the API has no choice."""
        if not tools:
            return []
        if not self.info["function_calling"]:
            raise ModelArgumentError(
                f"The model {self.model!r} cannot call tools; choose one that can."
            )
        specs = {tool["name"]: _tool(tool, names) for tool in tools}
        if choice == "none":
            return []
        if isinstance(choice, str):
            body["tools"] = list(specs.values())
            return [_MUST_CALL] if choice == "required" else []
        if (forced := choice["name"]) not in specs:
            raise ModelArgumentError(f"tool_choice names {forced!r}, which is not among the tools.")
        body["tools"] = [specs[forced]]
        return [_MUST_CALL_ONE.format(names.add(forced))]

    def _add_format(self, body: Json, wanted: Any) -> list[str]:
        """Add the format of the answer; returns what the model has to be told in its place."""
        match wanted:
            case None | False:
                return []
            case True | "json":
                self._need(self.info["json_output"], "JSON output")
                schema: Literal["json"] | Json = "json"
            case dict():
                schema = cast(Json, wanted)
            case type():
                self._need(self.info["structured_output"], "structured output")
                schema = cast("type[BaseModel]", wanted).model_json_schema()
            case _:
                assert_never(wanted)
        if "tools" not in body:
            body["format"] = schema
            return []
        # A format restricts every token of the answer, so that no tool could be called.
        any_object: Json = {"type": "object"}
        return [answer_in(any_object if schema == "json" else schema, beside_tools=True)]

    def _need(self, able: bool, what: str) -> None:
        if not able:
            raise ModelArgumentError(
                f"The model {self.model!r} has no {what}; choose one that has."
            )


def _tool(schema: ToolSchema, names: ToolNames) -> Json:
    function: Json = {
        "name": names.add(schema["name"]),
        "description": schema.get("description", ""),
        "parameters": schema.get("parameters") or {"type": "object", "properties": {}},
    }
    return {"type": "function", "function": function}
