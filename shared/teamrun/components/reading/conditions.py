"""Termination conditions as people write them, read into the canonical form."""

import json
from collections.abc import Mapping
from typing import Any, Final, cast

from teamrun.components.definitions.base import ConditionDefinition
from teamrun.components.definitions.kinds import CONDITIONS
from teamrun.components.definitions.table import ConditionKind
from teamrun.components.reading.fields import Fields, as_list, as_object, construct, read_fields
from teamrun.components.reading.mentions import Mention
from teamrun.components.reading.problems import Problems, did_you_mean, listed, pointer, shown
from teamrun.components.reading.scope import Scope
from teamrun.json_types import JsonMapping

__all__ = ["ConditionReader", "combined"]

_MAX_DEPTH: Final = 16
_LONGEST: Final = 100


def combined(
    conditions: list[ConditionDefinition],
) -> ConditionDefinition | None:
    """Any one of several conditions; a single one is returned as it is."""
    if len(conditions) < 2:
        return conditions[0] if conditions else None
    return CONDITIONS["or"].model.model_validate({"conditions": tuple(conditions)})


class ConditionReader:
    """Reads conditions, and collects the names that they mention."""

    def __init__(self, scope: Scope, problems: Problems) -> None:
        self._scope = scope
        self._problems = problems
        self.mentions: list[Mention] = []

    def read(self, raw: Any, where: str) -> ConditionDefinition | None:
        """One condition, or a list of which any one suffices."""
        if isinstance(raw, (list, tuple)):
            return combined(self._several(raw, where, 1))
        return self.one(raw, where, 0)

    def one(self, raw: Any, where: str, depth: int) -> ConditionDefinition | None:
        """One condition, or its name alone; None with a problem added if it is invalid."""
        place, written = where if isinstance(raw, str) else pointer(where, "type"), raw
        raw = {"type": raw} if isinstance(raw, str) else raw
        source = as_object(raw, where, self._problems, what="a termination condition")
        if source is None:
            return None
        if depth > _MAX_DEPTH:
            self._problems.add(where, "too_large", "Conditions are nested too deeply.")
            return None
        kind = CONDITIONS.named(source.get("type"))
        if kind is None:
            self._unknown(source.get("type"), place, written)
            return None
        if kind.is_combined:
            return self._combined(kind, source, where, depth)
        return self.simple(kind, source, where)

    def simple(
        self, kind: ConditionKind, source: JsonMapping, where: str
    ) -> ConditionDefinition | None:
        """A condition without others inside; `source` may give its `type`."""
        fields = read_fields(
            source, where, kind.fields, self._problems, what=f"{kind.type} termination"
        )
        values = {**fields.values, "type": kind.type}
        function = fields.values.get("function")
        self._scope.check_function(function, fields.place("function"), self._problems)
        condition = construct(kind.model, fields, values, self._problems)
        if condition is not None:
            self.mentions += _mentions(kind, dict(condition), fields)
        return condition

    def _combined(
        self, kind: ConditionKind, source: JsonMapping, where: str, depth: int
    ) -> ConditionDefinition | None:
        fields = read_fields(
            source, where, kind.fields, self._problems, what="a termination condition"
        )
        inner = self._several(
            fields.values.get("conditions"), fields.place("conditions"), depth + 1
        )
        return kind.model.model_validate({"conditions": tuple(inner)}) if inner else None

    def _several(self, raw: Any, where: str, depth: int) -> list[ConditionDefinition]:
        items = as_list(raw, where, self._problems, what="'conditions'")
        if not items and isinstance(raw, (list, tuple)):
            self._problems.add(where, "invalid_definition", "At least one condition is needed.")
        read = [self.one(item, pointer(where, i), depth) for i, item in enumerate(items)]
        return [condition for condition in read if condition is not None]

    def _unknown(self, kind: Any, where: str, written: Any) -> None:
        """Add the problem of a condition of no kind; `written` is what the document has."""
        simple = listed((row.type for row in CONDITIONS if not row.is_combined), most=20)
        if kind is None:
            meant = _meant(written)
            detail = (
                f"'type' is needed: one of {simple}; such as {_example('TERMINATE')}."
                if meant is None
                else f"'type' is needed: write {meant}."
            )
        else:
            hint = did_you_mean(str(kind), CONDITIONS.names) or f" There are {simple}."
            detail = f"'type': no condition {shown(kind)}.{hint}"
            if written == kind:
                detail += f" To stop at a text, write {_example(kind)}."
        self._problems.add(where, "invalid_definition", detail)


def _example(text: str) -> str:
    shortened = text if len(text) <= _LONGEST else text[:_LONGEST] + "…"
    return json.dumps({"type": "text_mention", "text": shortened}, ensure_ascii=False)


def _meant(written: Any) -> str | None:
    """The condition that was meant by its name and what its first field is to be, as JSON."""
    if not isinstance(written, Mapping) or len(cast("JsonMapping", written)) != 1:
        return None
    ((name, value),) = cast("JsonMapping", written).items()
    kind = CONDITIONS.named(name)
    if kind is None or kind.is_combined:
        return None
    if isinstance(value, Mapping):
        fields = dict(cast("JsonMapping", value))
    else:
        field = next((field for field in kind.model.model_fields if field != "type"), "type")
        fields = {} if value is None or field == "type" else {field: value}
    text = json.dumps({"type": kind.type, **fields}, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST else None


def _mentions(kind: ConditionKind, values: JsonMapping, fields: Fields) -> list[Mention]:
    """The names in a condition, given as a text or a list."""
    found: list[Mention] = []
    for field, what in kind.mentions.items():
        place, value = fields.place(field), values[field]
        if isinstance(value, str):
            found.append(Mention(what, value, place))
        else:
            found += [
                Mention(what, name, pointer(place, index)) for index, name in enumerate(value or ())
            ]
    return found
