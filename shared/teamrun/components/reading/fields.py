"""Reading one object of a definition: its fields by any name, and the location of each problem."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar, cast

from pydantic import BaseModel, ValidationError

from teamrun.components.definitions.base import NAME_RULES
from teamrun.components.reading.problems import (
    ProblemCode,
    Problems,
    did_you_mean,
    listed,
    nearest,
    pointer,
    shown,
)
from teamrun.json_types import JsonMapping, JsonObject
from teamrun.validation import Misfit, kind_of, misfits

__all__ = ["Fields", "as_list", "as_object", "construct", "read_fields", "version_is_known"]

M = TypeVar("M", bound=BaseModel)

_SOURCE = "code is not taken from a definition; name a tool that the operator registered"
_OPERATOR = "addresses and keys belong to the operator's model profiles; name a profile in 'model'"
_PROVIDER = (
    "'provider' is only for AutoGen component JSON; use `type` here, and for a model the name"
    " of a profile in 'model'"
)
_IN_TEXTS = "'${NAME}' is replaced in texts only; write the value itself."
_REFUSED: Mapping[str, tuple[ProblemCode, str]] = {
    **dict.fromkeys(
        ("source_code", "source", "code", "function", "module", "global_imports", "import"),
        ("source_not_allowed", _SOURCE),
    ),
    **dict.fromkeys(
        ("base_url", "api_key", "endpoint", "azure_endpoint", "api_version", "region"),
        ("unknown_field", _OPERATOR),
    ),
    "provider": ("unknown_provider", _PROVIDER),
    "model_client": ("unknown_field", "name a model profile in 'model'"),
    "lead": ("unknown_field", "only a team of type 'hierarchical' has a lead, its 'manager'"),
}


class Fields(NamedTuple):
    """The fields of one object under their canonical names."""

    where: str
    values: JsonMapping
    spelled: Mapping[str, str]
    meant: frozenset[str] = frozenset()
    """The known fields that unknown ones are probably misspellings of."""

    def place(self, name: str) -> str:
        """The pointer to a field as the document spells it."""
        return pointer(self.where, self.spelled.get(name, name))


def as_object(raw: Any, where: str, problems: Problems, *, what: str) -> JsonObject | None:
    """The value as an object, or None with a problem added."""
    if isinstance(raw, Mapping):
        return {str(key): value for key, value in cast("Mapping[Any, Any]", raw).items()}
    problems.add(where, "invalid_definition", f"{what} must be an object, not {kind_of(raw)}.")
    return None


def as_list(raw: Any, where: str, problems: Problems, *, what: str) -> list[Any]:
    """The value as a list; if it is none, adds a problem and returns an empty list."""
    if isinstance(raw, (list, tuple)):
        return list(cast("list[Any]", raw))
    problems.add(where, "invalid_definition", f"{what} must be a list, not {kind_of(raw)}.")
    return []


def version_is_known(version: object, where: str, problems: Problems) -> bool:
    """Whether a definition has this form's version, or none; otherwise adds a problem."""
    # `true` equals 1 in Python, and a version may be written as a number or as a text.
    if version is None or (not isinstance(version, bool) and version in (1, "1", "1.0")):
        return True
    detail = f"'version' is {shown(version)}; only version 1 is known: write 'version: 1'."
    problems.add(where, "unknown_version", detail)
    return False


def read_fields(
    raw: JsonMapping, where: str, known: Mapping[str, str], problems: Problems, *, what: str
) -> Fields:
    """Sort the fields of `raw`; `known` maps each name that is taken to its canonical one."""
    values: JsonObject = {}
    spelled: dict[str, str] = {}
    meant: set[str] = set()
    for name, value in raw.items():
        canonical = known.get(name)
        if canonical is None:
            _note_unknown(name, pointer(where, name), known, problems, what=what)
            near = nearest(name, known)
            meant |= set() if near is None else {known[near]}
        elif canonical in values:
            problems.add(
                pointer(where, name),
                "invalid_definition",
                f"{name!r} and {spelled[canonical]!r} of {what} mean the same; use one of them.",
            )
        else:
            values[canonical], spelled[canonical] = value, name
    return Fields(where, values, spelled, frozenset(meant - values.keys()))


def construct(
    model: type[M],
    fields: Fields,
    values: JsonMapping,
    problems: Problems,
    *,
    unknown: Collection[str] = (),
    checked: Collection[str] = (),
) -> M | None:
    """Create the canonical object, or None, with each problem added at its field.

    Args:
        model: Its class.
        fields: The object that was read.
        values: The values of its fields.
        problems: The list to add problems to.
        unknown: Fields whose value is unknown because of a problem elsewhere. Errors of these, of
            misspelt fields and of fields that already have a problem are consequences and are
            not reported.
        checked: Fields whose own errors are no consequences of the problems inside of them.
    """
    faulty = [
        *unknown,
        *fields.meant,
        *(name for name in fields.values if problems.is_in(fields.place(name))),
    ]
    try:
        made = model.model_validate(dict(values))
    except ValidationError as error:
        for misfit in misfits(error, values):
            is_own = len(misfit.path) == 1 and misfit.path[0] in checked
            if is_own or not misfit.path or misfit.path[0] not in faulty:
                _note_misfit(misfit, fields, values, problems)
        return None
    return None if faulty else made


def _note_misfit(misfit: Misfit, fields: Fields, values: JsonMapping, problems: Problems) -> None:
    place, subject = fields.where, ""
    if misfit.path:
        name, *rest = misfit.path
        place = pointer(fields.place(str(name)), *rest)
        subject = _subject(fields.spelled.get(str(name), str(name)), rest)
    if misfit.path == ("name",) and "name" not in fields.spelled and "name" in values:
        place, subject = fields.where, shown(values["name"])  # the key of the object is its name
    problems.add(place, "invalid_definition", _sentence(misfit, subject))


def _subject(name: str, rest: Sequence[int | str]) -> str:
    inner = [part for part in rest if isinstance(part, str)]
    subject = repr(inner[-1] if inner else name)
    if rest and isinstance(rest[-1], int):
        return f"Item {rest[-1] + 1} of {subject}"
    return subject


def _sentence(misfit: Misfit, subject: str) -> str:
    pattern = NAME_RULES.get(misfit.text.rpartition(" ")[2])
    if misfit.kind == "string_pattern_mismatch" and pattern is not None:
        # Only a name is shown: the value of another field may be a secret.
        value = shown(misfit.value)
        if misfit.path[-1:] == ("name",) and subject != value:
            return f"{subject} is {value}, which is not a valid name: {pattern}."
        return f"{subject} is not a valid name: {pattern}."
    sentence = misfit.sentence(subject)
    is_reference = isinstance(misfit.value, str) and "${" in misfit.value
    return f"{sentence} {_IN_TEXTS}" if misfit.is_other_kind and is_reference else sentence


def _note_unknown(
    name: str, where: str, known: Mapping[str, str], problems: Problems, *, what: str
) -> None:
    code, remedy = _REFUSED.get(name, ("unknown_field", ""))
    if remedy:
        problems.add(where, code, f"{name!r} is not taken in {what}: {remedy}.")
        return
    hint = did_you_mean(name, known) or f" It takes {listed(known)}."
    problems.add(where, code, f"{what} has no field {shown(name)}.{hint}")
