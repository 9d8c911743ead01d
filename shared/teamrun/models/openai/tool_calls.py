"""Tool calls of an answer, put together from the parts in which servers stream them.

OpenAI gives each call its own index. Other servers send several calls at index 0 or without
index, repeat the id and the name on each part, send them empty, or send the arguments as an object.
"""

import json
import uuid
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import cast

from teamrun.json_types import JsonObject, member, members
from teamrun.messages.llm import FunctionCall
from teamrun.models.openai.attached import attached_to_call, merged, provider_data
from teamrun.models.openai.request import Request
from teamrun.models.unreadable import unreadable

__all__ = ["ToolCalls", "calls_of"]

Json = JsonObject

_PLACEHOLDER = "{}"
"""Some gateways begin with it, and send the arguments in the next parts."""


@dataclass(slots=True)
class _Call:
    index: int
    id: str = ""
    name: str = ""
    attached: Json = field(default_factory=JsonObject)
    _parts: list[str] = field(default_factory=list[str])  # joined when needed: parts are many
    _size: int = 0

    @property
    def arguments(self) -> str:
        """The arguments so far, as JSON text."""
        return "".join(self._parts)

    @property
    def has_arguments(self) -> bool:
        """Whether any part of them has come."""
        return self._size > 0

    @property
    def is_placeholder(self) -> bool:
        """Whether the arguments are `{}`, which may be only the beginning."""
        return self._size == len(_PLACEHOLDER) and self.arguments == _PLACEHOLDER

    @property
    def whole(self) -> bool:
        """Whether the arguments are complete, so that more of them belongs to another call."""
        last = next((part for part in reversed(self._parts) if not part.isspace()), "")
        if not last.rstrip().endswith("}"):  # else each part would cost a parse
            return False
        try:
            return isinstance(json.loads(self.arguments), dict)
        except (ValueError, RecursionError):
            return False

    def append(self, part: "_Part") -> None:
        """Go on with the part."""
        self.id = self.id or part.id
        self.name = self.name or part.name
        self.attached = merged(self.attached, part.attached)
        if self.is_placeholder and part.arguments.lstrip().startswith("{"):
            self._parts, self._size = [], 0
        elif self._has_all_of(part):
            return
        if part.arguments:
            self._parts.append(part.arguments)
            self._size += len(part.arguments)

    def _has_all_of(self, part: "_Part") -> bool:
        """Whether the part has all of the arguments once more."""
        is_as_long = len(part.arguments) == self._size
        return is_as_long and part.arguments == self.arguments and self.whole


@dataclass(frozen=True, slots=True)
class _Part:
    index: int | None
    id: str
    name: str
    arguments: str
    attached: Json


@dataclass(slots=True)
class ToolCalls:
    """The calls of one answer."""

    _calls: list[_Call] = field(default_factory=list[_Call])
    """In the order in which they began."""

    def __bool__(self) -> bool:
        return bool(self._calls)

    def add(self, raw: Json, *, whole: bool) -> bool:
        """Take one element of `tool_calls`; returns whether it was a call of a function.

        Args:
            raw: The element.
            whole: It is a call by itself, not a part of one.
        """
        if not _is_function(raw):
            return False
        part = _part(raw)
        if not (whole or part.name or part.id or part.arguments):
            self._attach(part)
            return False  # some servers send an empty one beside text
        call = None if whole else self._continued(part)
        if call is None:
            last = self._calls[-1] if self._calls else _Call(0)
            call = _Call(last.index if part.index is None else part.index)
            if not (whole or part.name or part.id):
                call.name = last.name
            self._calls.append(call)
        call.append(part)
        return True

    def _attach(self, part: _Part) -> None:
        """Add a part that has nothing but attached data to the call that it belongs to."""
        same = [call for call in self._calls if part.index in (None, call.index)]
        if same:
            same[-1].append(part)

    def result(self, request: Request, *, taken: Collection[str]) -> list[FunctionCall]:
        """The calls by index, each with an id that no other call has.

        Args:
            request: Gives the names that tools have here, and the provider.
            taken: Ids of earlier calls of the conversation.

        Raises:
            ModelError: A call has no name.
        """
        used = set(taken)
        result: list[FunctionCall] = []
        for call in sorted(self._calls, key=lambda call: call.index):
            if not call.name:
                raise unreadable("a tool call has no name")
            if not call.id or call.id in used:
                call.id = _new_id(used)
            used.add(call.id)
            attached = provider_data(request.provider, call.attached, with_thoughts=True)
            name = request.names.ours(call.name)
            result.append(FunctionCall(call.id, call.arguments, name, attached))
        return result

    def _continued(self, part: _Part) -> _Call | None:
        """The call that the part continues; `None` if it begins another."""
        same = [call for call in self._calls if part.index in (None, call.index)]
        if part.id and (known := [call for call in same if call.id == part.id]):
            call = known[-1]
            return None if _is_another(part, call) and part.arguments != call.arguments else call
        if not same:  # a new index
            begins = part.id or part.name or not self._calls
            return None if begins else self._calls[-1]
        call = same[-1]
        if part.id and call.id:
            # vLLM had releases that made up an id for each part: only a name, or the end of the
            # arguments before it, shows another call.
            return None if part.name or not part.arguments or call.whole else call
        return None if _is_another(part, call) else call


def calls_of(message: Json) -> list[Json]:
    """The elements of a message's `tool_calls`, or its `function_call`, the form before them."""
    listed = message.get("tool_calls")
    if isinstance(listed, dict):  # a single one, without a list around it
        return [cast(Json, listed)]
    if calls := members(message, "tool_calls"):
        return calls
    function = member(message, "function_call")
    return [{"index": 0, "function": function}] if function else []


def _is_another(part: _Part, call: _Call) -> bool:
    """Whether a part without an id begins another call than the one before it."""
    if part.name and call.name and part.name != call.name:
        return call.whole or not call.has_arguments
    if call.is_placeholder and not part.name:
        return False
    return part.arguments.lstrip().startswith("{") and call.whole


def _is_function(raw: Json) -> bool:
    return raw.get("type") in (None, "", "function") or bool(member(raw, "function"))


def _part(raw: Json) -> _Part:
    function = member(raw, "function") or (raw if "name" in raw or "arguments" in raw else {})
    index = raw.get("index")
    return _Part(
        index if isinstance(index, int) else None,
        _text(raw.get("id")),
        _text(function.get("name")),
        _arguments(function.get("arguments")),
        attached_to_call(raw),
    )


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _arguments(value: object) -> str:
    """As text; servers that send an object had JSON in mind all the same."""
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, ensure_ascii=False)


def _new_id(used: Collection[str]) -> str:
    # Nine letters and digits: Mistral's servers refuse ids of any other form.
    while (made := uuid.uuid4().hex[:9]) in used:
        pass
    return made
