"""The errors of a value that a pydantic model refuses, in this project's wording.

Every refusal of pydantic that a user can meet (in a definition, a request, a setting, an option, a
script, the arguments of a tool) becomes a `Misfit` here, so that one error has one wording. The
types of errors are those of pydantic-core's `ErrorType`; a test compares the table with it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, cast

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from teamrun.json_types import JsonMapping, JsonObject

__all__ = ["REQUIREMENTS", "Misfit", "either", "kind_of", "misfit_of", "misfits"]

_TIME: Final = "a time of RFC 3339, such as 2026-03-31T08:00:00Z"
_DATE: Final = "a date, such as 2026-03-31"
_CLOCK: Final = "a time of day, such as 08:00:00"
_SPAN: Final = "a duration: seconds, or ISO 8601 such as PT30S"

_BE: Final[Mapping[str, str]] = {
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "a whole number"),
    "int_parsing_size": "a whole number of fewer digits",
    **dict.fromkeys(("float_type", "float_parsing"), "a number"),
    **dict.fromkeys(("decimal_type", "decimal_parsing"), "a number"),
    **dict.fromkeys(("fraction_type", "fraction_parsing"), "a number or a fraction"),
    **dict.fromkeys(("complex_type", "complex_str_parsing"), "a complex number"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "true or false"),
    **dict.fromkeys(("string_type", "bytes_type"), "a text"),
    **dict.fromkeys(
        (
            *("list_type", "tuple_type", "set_type", "frozen_set_type", "deque_type"),
            *("iterable_type", "named_tuple_type", "arguments_type"),
        ),
        "a list",
    ),
    **dict.fromkeys(
        (
            *("dict_type", "mapping_type", "model_type", "model_attributes_type"),
            *("dataclass_type", "dataclass_exact_type", "ordered_dict_type", "counter_type"),
            "frozen_dict_type",
        ),
        "an object",
    ),
    "none_required": "null",
    **dict.fromkeys(("uuid_type", "uuid_parsing", "uuid_version"), "a UUID"),
    **dict.fromkeys(("url_type", "url_parsing", "url_syntax_violation"), "a URL with its scheme"),
    **dict.fromkeys(("datetime_type", "datetime_parsing", "datetime_object_invalid"), _TIME),
    "datetime_from_date_parsing": _TIME,
    **dict.fromkeys(("date_type", "date_parsing", "date_from_datetime_parsing"), _DATE),
    "date_from_datetime_inexact": _DATE,
    **dict.fromkeys(("time_type", "time_parsing"), _CLOCK),
    **dict.fromkeys(("time_delta_type", "time_delta_parsing"), _SPAN),
    **dict.fromkeys(("json_type", "json_invalid"), "JSON"),
    **dict.fromkeys(("literal_error", "enum"), "{expected}"),
    "is_instance_of": "an instance of {class}",
    "is_subclass_of": "a subclass of {class}",
    "callable_type": "a function",
    "finite_number": "a finite number",
    "greater_than": "greater than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "multiple_of": "a multiple of {multiple_of}",
    **dict.fromkeys(("date_past", "datetime_past"), "in the past"),
    **dict.fromkeys(("date_future", "datetime_future"), "in the future"),
    "timezone_naive": "a time without an offset",
    "timezone_aware": "a time with its offset from UTC, such as 2026-03-31T08:00:00Z",
    "timezone_offset": "a time whose offset from UTC is {tz_expected} seconds",
    "string_unicode": "a text of valid Unicode",
    "string_not_ascii": "a text of ASCII characters",
    "bytes_invalid_encoding": "bytes in the encoding {encoding}",
    "invalid_key": "an object whose keys are texts",
    "missing_sentinel_error": "left out",
    "ellipsis_error": "an ellipsis",
}
"""The required kind of value."""

REQUIREMENTS: Final[Mapping[str, str]] = {
    **{kind: f"must be {what}" for kind, what in _BE.items()},
    **dict.fromkeys(("missing", "missing_argument", "missing_keyword_only_argument"), "is needed"),
    "missing_positional_only_argument": "is needed",
    **dict.fromkeys(
        ("unexpected_keyword_argument", "unexpected_positional_argument"), "is not known"
    ),
    "multiple_argument_values": "occurs twice",
    "extra_forbidden": "is not known",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "bytes_too_short": "must have at least {min_length} bytes",
    "bytes_too_long": "must have at most {max_length} bytes",
    "too_short": "must have at least {min_length} items",
    "too_long": "must have at most {max_length} items",
    "string_pattern_mismatch": "must match the pattern {pattern}",
    "url_too_long": "must have at most {max_length} characters",
    "url_scheme": "must be a URL that begins with {expected_schemes}",
    "decimal_max_digits": "must have at most {max_digits} digits",
    "decimal_max_places": "must have at most {decimal_places} digits after the point",
    "decimal_whole_digits": "must have at most {whole_digits} digits before the point",
    "union_tag_invalid": "must have one of {expected_tags} as {discriminator}",
    "union_tag_not_found": "needs {discriminator}",
    "set_item_not_hashable": "must have items that a set can contain: no lists, no objects",
    **dict.fromkeys(("recursion_loop", "recursion_depth_exceeded"), "must not contain itself"),
    **dict.fromkeys(("frozen_field", "frozen_instance"), "cannot be changed"),
    **dict.fromkeys(
        ("no_such_attribute", "get_attribute_error", "iteration_error"), "cannot be read"
    ),
    **dict.fromkeys(("needs_python_object", "default_factory_not_called"), "cannot be checked"),
}
"""The text after the name of a field, by the type of error. `value_error` and `assertion_error`
have the text of the exception."""

_OWN: Final = frozenset({"value_error", "assertion_error"})
_OTHER_KIND: Final = frozenset(
    {"int_parsing", "float_parsing", "bool_parsing", "decimal_parsing", "int_from_float"}
)
"""Beside those that end with `_type`: errors that mean that another kind of value is needed."""
_NOTHING: Final = object()


class Misfit(NamedTuple):
    """One thing that is wrong with a value."""

    path: tuple[int | str, ...]
    """The location in the value."""
    kind: str
    """The type of error, as pydantic calls it."""
    text: str
    """The text after the name of the field, or the text of a custom validator."""
    is_own: bool
    """Whether `text` is a validator's own, which needs no subject."""
    is_other_kind: bool
    """Whether another kind of value is needed: a number and not a text."""
    value: object
    """The invalid value; never part of a message, because it may be a secret."""

    def sentence(self, subject: str) -> str:
        """The fault as a sentence about `subject`; an empty one is left out if it can be."""
        if self.is_own:
            text = f"{subject}: {self.text}" if subject else self.text[:1].upper() + self.text[1:]
        else:
            text = f"{subject or 'the value'} {self.text}"
        if self.is_other_kind:
            text += f", not {kind_of(self.value)}"
        return text if text.endswith((".", "?", "!")) else text + "."


def misfits(error: ValidationError, value: object) -> list[Misfit]:
    """Everything that is wrong with a value, each fault once.

    Args:
        error: The model's error.
        value: The validated value. Locations of pydantic also name the branches of unions; only
            parts that the value has are kept.
    """
    found: dict[tuple[int | str, ...], Misfit] = {}
    for detail in error.errors(include_url=False):
        misfit = _misfit(detail, value)
        same = found.get(misfit.path)
        found[misfit.path] = misfit if same is None else either(same, misfit)
    inner = {path[:depth] for path in found for depth in range(len(path))}
    # A branch of a union with another type adds no information if there is one with the type.
    kept = [each for each in found.values() if not each.is_other_kind or each.path not in inner]
    return kept or list(found.values())


def misfit_of(detail: ErrorDetails) -> Misfit:
    """One error of pydantic, if the value that it is about is not at hand; its path is whole."""
    kind = detail["type"]
    is_own = kind in _OWN or kind not in REQUIREMENTS
    return Misfit(tuple(detail["loc"]), kind, _text(detail), is_own, False, None)


def kind_of(value: object) -> str:
    """The kind of a JSON value, in words."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case int():
            return "a whole number"
        case float():
            return "a decimal number"
        case str():
            return "a text"
        case Mapping():
            return "an object"
        case list() | tuple():
            return "a list"
        case _:
            return f"a {type(value).__name__}"


def _misfit(detail: ErrorDetails, value: object) -> Misfit:
    kind = detail["type"]
    path, there = _path(detail["loc"], value, is_missing=REQUIREMENTS.get(kind) == "is needed")
    is_other_kind = kind in _OTHER_KIND or (kind in REQUIREMENTS and kind.endswith("_type"))
    whole = misfit_of(detail)
    return whole._replace(path=path, is_other_kind=is_other_kind, value=there)


def _text(detail: ErrorDetails) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind in _OWN:
        return str(context.get("error", "")) or "is not valid"
    template = REQUIREMENTS.get(kind)
    if template is None:  # a validator of the operator's own code
        return detail["msg"]
    if context.get("min_length") == 1:
        return "must not be empty"
    return template.format_map(_Context(context))


class _Context(JsonObject):
    def __missing__(self, key: str) -> str:
        return "what is allowed"


def either(one: Misfit, other: Misfit) -> Misfit:
    """One fault for two branches of a union."""
    be = "must be "
    if not (one.text.startswith(be) and other.text.startswith(be)) or one.is_own or other.is_own:
        return one
    what = other.text.removeprefix(be)
    if what in one.text:
        return one
    return one._replace(text=f"{one.text} or {what}")


def _path(
    location: Sequence[int | str], value: object, *, is_missing: bool
) -> tuple[tuple[int | str, ...], object]:
    """The parts of a location that the value has, and the value there."""
    path: list[int | str] = []
    for place, part in enumerate(location):
        found = _member(value, part)
        if found is not _NOTHING:
            path.append(part)
            value = found
        elif is_missing and place == len(location) - 1:
            path.append(part)
    return tuple(path), value


def _member(value: object, part: int | str) -> object:
    match value, part:
        case Mapping(), str():
            return cast("JsonMapping", value).get(part, _NOTHING)
        case list() | tuple(), int() if part < len(cast("Sequence[Any]", value)):
            return cast("Sequence[Any]", value)[part]
        case _:
            return _NOTHING
