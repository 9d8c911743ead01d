"""Tool calls of an answer, put together from the parts in which servers stream them.

OpenAI gives each call an index of its own. Other servers send several calls at index 0 or without
index, repeat the id and the name on each part, send them empty, or send the arguments as an object.
"""

import json
import uuid
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from teamrun.messages.llm import FunctionCall
from teamrun.models.openai_attached import attached_to_call, merged, provider_data
from teamrun.models.openai_content import member
from teamrun.models.openai_errors import unreadable
from teamrun.models.openai_request import Request

__all__ = ["ToolCalls"]

Json = dict[str, Any]


@dataclass(slots=True)
class _Call:
    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""
    attached: Json = field(default_factory=dict[str, Any])

    @property
    def whole(self) -> bool:
        """Whether the arguments are complete, so that more of them belongs to another call."""
        try:
            return isinstance(json.loads(self.arguments), dict)
        except (ValueError, RecursionError):
            return False


@dataclass(frozen=True, slots=True)
class _Part:
    index: int | None
    id: str
    name: str
    arguments: str


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
        part, attached = _part(raw), attached_to_call(raw)
        if not (whole or part.name or part.id or part.arguments):
            self._attach(part, attached)
            return False  # some servers send an empty one beside text
        call = None if whole else self._continued(part)
        if call is None:
            last = self._calls[-1].index if self._calls else 0
            call = _Call(last if part.index is None else part.index)
            self._calls.append(call)
        call.attached = merged(call.attached, attached)
        call.id = call.id or part.id
        call.name = call.name or part.name
        if not (part.arguments == call.arguments and call.whole):  # not a repetition of all
            call.arguments += part.arguments
        return True

    def _attach(self, part: _Part, attached: Json) -> None:
        """Give what a part has attached to the call that it belongs to."""
        same = [call for call in self._calls if part.index in (None, call.index)]
        if same:
            same[-1].attached = merged(same[-1].attached, attached)

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
        """The call that the part goes on with; `None` if it begins another."""
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


def _is_another(part: _Part, call: _Call) -> bool:
    """Whether a part without an id of its own begins another call than the one before it."""
    if not part.name or not call.name:
        return False
    if part.name != call.name:
        return call.whole or not call.arguments
    return bool(part.arguments.strip()) and call.whole


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
