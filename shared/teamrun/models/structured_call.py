"""Structured answers of any model: in its own mode, by a forced tool, or by an instruction.

Agents and the engine use it. The providers know only `json_output`, `tools` and `tool_choice`, so
none of them needs code for models without structured output.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Final, cast

from pydantic import BaseModel, RootModel

from teamrun.json_types import JsonMapping, JsonObject
from teamrun.messages.llm import (
    AssistantMessage,
    CreateResult,
    FunctionCall,
    LLMMessage,
    SystemMessage,
    UserMessage,
)
from teamrun.models.answer_forms import ANSWER_TOOL, AS_JSON, answer_tool
from teamrun.models.base import ModelInfo
from teamrun.tools.schema import ToolSchema

__all__ = ["StructuredCall", "answer_class", "repair_messages", "structured_call", "unfenced"]

_FENCED: Final = r"(?si)\s*```(?:json)?\s*\n(.*?)\n\s*```\s*"
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")


class _Answer(RootModel[JsonObject]):
    """A class whose schema is given; the caller validates the answer."""

    given: ClassVar[JsonObject]

    @classmethod
    def model_json_schema(cls, *args: Any, **kwargs: Any) -> JsonObject:
        """A copy of the schema as it was given."""
        return json.loads(json.dumps(cls.given))


def answer_class(schema: JsonMapping) -> type[BaseModel]:
    """A class for `json_output` that has this JSON Schema, unchanged.

    It does not validate. Its name is the schema's `title`, if that is an identifier of ASCII
    characters, else `Answer`. An equal schema gives the same class.
    """
    return _answer_class(json.dumps(schema))


@lru_cache(maxsize=64)
def _answer_class(text: str) -> type[BaseModel]:
    schema: JsonObject = json.loads(text)
    title = schema.get("title")
    name = title if isinstance(title, str) and _NAME.fullmatch(title) else "Answer"
    return cast("type[BaseModel]", type(name, (_Answer,), {"given": schema}))


@dataclass(frozen=True, slots=True)
class StructuredCall:
    """One call of a model whose answer is to be structured."""

    messages: list[LLMMessage]
    arguments: JsonObject
    """The other arguments of `create`."""
    tool: str | None = None
    """The tool whose arguments are the answer, if there is one."""

    def read(self, result: CreateResult) -> CreateResult:
        """The model's result, with the answer as its text if it was a call of the tool.

        If the model has called other tools as well, these come first: it cannot have seen their
        results in its answer.
        """
        if self.tool is None or not isinstance(result.content, list):
            return result
        others = [call for call in result.content if call.name != self.tool]
        may_call = self.arguments["tool_choice"] == "required"
        content: str | list[FunctionCall]
        if others and (may_call or len(others) == len(result.content)):
            content = others
        else:
            content = next(call for call in result.content if call.name == self.tool).arguments
        reason = "stop" if isinstance(content, str) else result.finish_reason
        return result.model_copy(update={"content": content, "finish_reason": reason})


def structured_call(
    form: type[BaseModel],
    info: ModelInfo,
    messages: list[LLMMessage],
    arguments: JsonMapping,
) -> StructuredCall:
    """The call of a model whose answer is to fit a class.

    A model with `structured_output` gets the class. One that can be forced to call a tool gets a
    tool whose parameters are the schema; with other tools beside it, it has to call one of them.
    Any other model is instructed in a system message.

    Args:
        form: The class of the answer, or an `answer_class`.
        info: The capabilities of the model.
        messages: The conversation.
        arguments: The other arguments of `create`, such as `tools`. While `tool_choice` requires a
            call of a tool, they are left as they are: the answer comes later.
    """
    choice = arguments.get("tool_choice", "auto")
    tools: Sequence[ToolSchema] = arguments.get("tools", ())
    if info["structured_output"]:
        return StructuredCall(messages, {**arguments, "json_output": form})
    if tools and choice not in ("auto", "none"):
        return StructuredCall(messages, {**arguments})
    if info["function_calling"] and info.get("forced_tool", True):
        tool = answer_tool(form)
        tool["name"] = _free_name(tools)
        forced = "required" if tools and choice == "auto" else tool
        own = {"tools": [*tools, tool], "tool_choice": forced}
        return StructuredCall(messages, {**arguments, **own}, tool["name"])
    mode = {"json_output": True} if info["json_output"] and not tools else {}
    return StructuredCall(_instructed(messages, form.model_json_schema()), {**arguments, **mode})


def repair_messages(answer: str, misfits: Sequence[str], *, source: str) -> list[LLMMessage]:
    """What a model is sent after an answer that does not fit: the answer, and what is wrong.

    Args:
        answer: The text of the answer.
        misfits: What does not fit, each a sentence.
        source: The name of the agent that answered.
    """
    found = "\n".join(f"- {each}" for each in misfits)
    ask = f"That answer does not fit the schema:\n{found}\nWrite the whole answer again, corrected."
    return [
        AssistantMessage(content=answer, source=source),
        UserMessage(content=ask, source="user"),
    ]


def unfenced(text: str) -> str:
    """The text inside a Markdown fence, if the whole text is one."""
    fenced = re.fullmatch(_FENCED, text)
    return fenced[1] if fenced else text


def _free_name(tools: Sequence[ToolSchema]) -> str:
    name, taken = ANSWER_TOOL, {tool["name"] for tool in tools}
    while name in taken:
        name += "_"
    return name


def _instructed(messages: list[LLMMessage], schema: JsonObject) -> list[LLMMessage]:
    """The messages with an instruction behind the system messages at their beginning."""
    text = f"{AS_JSON} It fits this JSON Schema:\n{json.dumps(schema, ensure_ascii=False)}"
    count = 0
    while count < len(messages) and isinstance(messages[count], SystemMessage):
        count += 1
    return [*messages[:count], SystemMessage(content=text), *messages[count:]]
