"""Termination conditions as people write them, read into the canonical form."""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel

from teamrun.components.definitions.conditions import (
    AndDefinition,
    ConditionDefinition,
    ExternalDefinition,
    FunctionCallDefinition,
    HandoffTerminationDefinition,
    MaxMessagesDefinition,
    OrDefinition,
    SourceMatchDefinition,
    StopMessageDefinition,
    TextMentionDefinition,
    TextMessageDefinition,
    TimeoutDefinition,
    TokenUsageDefinition,
)
from teamrun.components.reading.fields import Fields, as_list, as_object, construct, read_fields
from teamrun.components.reading.mentions import Mention
from teamrun.components.reading.problems import Problems, did_you_mean, listed, pointer, shown

__all__ = ["ConditionReader", "combined"]

_MAX_DEPTH: Final = 16

_Simple = (
    TextMentionDefinition
    | MaxMessagesDefinition
    | StopMessageDefinition
    | TokenUsageDefinition
    | HandoffTerminationDefinition
    | TimeoutDefinition
    | ExternalDefinition
    | SourceMatchDefinition
    | TextMessageDefinition
    | FunctionCallDefinition
)
_SIMPLE: Final[Mapping[str, type[_Simple]]] = {
    "text_mention": TextMentionDefinition,
    "max_messages": MaxMessagesDefinition,
    "stop_message": StopMessageDefinition,
    "token_usage": TokenUsageDefinition,
    "handoff": HandoffTerminationDefinition,
    "timeout": TimeoutDefinition,
    "external": ExternalDefinition,
    "source_match": SourceMatchDefinition,
    "text_message": TextMessageDefinition,
    "function_call": FunctionCallDefinition,
}
_COMBINED: Final[Mapping[str, type[OrDefinition] | type[AndDefinition]]] = {
    "or": OrDefinition,
    "any": OrDefinition,
    "and": AndDefinition,
    "all": AndDefinition,
}
_ALIASES: Final[Mapping[str, Mapping[str, str]]] = {
    "timeout": {"seconds": "timeout_seconds", "timeout": "timeout_seconds"},
}


def combined(
    conditions: list[ConditionDefinition],
) -> ConditionDefinition | None:
    """Any one of several conditions; a single one stands for itself."""
    if len(conditions) < 2:
        return conditions[0] if conditions else None
    return OrDefinition(conditions=tuple(conditions))


class ConditionReader:
    """Reads conditions, and collects the names that they mention."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self.mentions: list[Mention] = []

    def read(self, raw: Any, where: str) -> ConditionDefinition | None:
        """One condition, or a list of which any one suffices."""
        if isinstance(raw, (list, tuple)):
            return combined(self._several(raw, where, 1))
        return self.one(raw, where, 0)

    def one(self, raw: Any, where: str, depth: int) -> ConditionDefinition | None:
        """One condition; None with a problem noted where it does not hold."""
        source = as_object(raw, where, self._problems, what="a termination condition")
        if source is None:
            return None
        if depth > _MAX_DEPTH:
            self._problems.add(where, "too_large", "Conditions are nested too deeply.")
            return None
        kind = source.get("type")
        if isinstance(kind, str) and kind in _COMBINED:
            return self._combined(_COMBINED[kind], source, where, depth)
        if isinstance(kind, str) and kind in _SIMPLE:
            return self.simple(kind, source, where)
        self._unknown(kind, where)
        return None

    def simple(
        self, kind: str, source: Mapping[str, Any], where: str
    ) -> ConditionDefinition | None:
        """A condition without others inside; `source` may say `type`."""
        model = _SIMPLE[kind]
        known = {name: name for name in _names(model)} | dict(_ALIASES.get(kind, {}))
        fields = read_fields(source, where, known, self._problems, what=f"{kind} termination")
        values = {**fields.values, "type": kind}
        condition = construct(model, fields, values, self._problems)
        if condition is not None:
            self.mentions += _mentions(condition, fields)
        return condition

    def _combined(
        self,
        model: type[OrDefinition] | type[AndDefinition],
        source: Mapping[str, Any],
        where: str,
        depth: int,
    ) -> ConditionDefinition | None:
        known = {"type": "type", "conditions": "conditions"}
        fields = read_fields(source, where, known, self._problems, what="a termination condition")
        inner = self._several(
            fields.values.get("conditions"), fields.place("conditions"), depth + 1
        )
        return model(conditions=tuple(inner)) if inner else None

    def _several(self, raw: Any, where: str, depth: int) -> list[ConditionDefinition]:
        items = as_list(raw, where, self._problems, what="'conditions'")
        if not items and isinstance(raw, (list, tuple)):
            self._problems.add(where, "invalid_definition", "At least one condition is needed.")
        read = [self.one(item, pointer(where, i), depth) for i, item in enumerate(items)]
        return [condition for condition in read if condition is not None]

    def _unknown(self, kind: Any, where: str) -> None:
        if kind is None:
            detail = "'type' is needed."
        elif kind == "functional":
            detail = (
                "'type': a functional condition is Python code, which a definition cannot hold."
            )
        else:
            hint = did_you_mean(str(kind), [*_SIMPLE, *_COMBINED])
            detail = (
                f"'type': no condition {shown(kind)}.{hint or f' There are {listed(_SIMPLE)}.'}"
            )
        self._problems.add(pointer(where, "type"), "invalid_definition", detail)


def _mentions(condition: _Simple, fields: Fields) -> list[Mention]:
    match condition:
        case TextMentionDefinition() | SourceMatchDefinition():
            place = fields.place("sources")
            sources = enumerate(condition.sources or ())
            return [Mention("source", name, pointer(place, index)) for index, name in sources]
        case TextMessageDefinition(source=str(source)):
            return [Mention("source", source, fields.place("source"))]
        case HandoffTerminationDefinition():
            return [Mention("target", condition.target, fields.place("target"))]
        case FunctionCallDefinition():
            return [Mention("function", condition.function_name, fields.place("function_name"))]
        case _:
            return []


def _names(model: type[BaseModel]) -> list[str]:
    return list(model.model_fields)
