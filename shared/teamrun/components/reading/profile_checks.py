"""Checks of the values of profiles: texts, options, keys, addresses and fallbacks."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any, cast

from teamrun.components.definitions.environment import MissingVariable, expand_all, malformed
from teamrun.components.definitions.profiles import Profile
from teamrun.components.reading.fields import Fields, construct
from teamrun.components.reading.problems import MALFORMED, Problems, did_you_mean, pointer
from teamrun.core.urls import http_url_fault
from teamrun.json_types import JsonMapping, JsonObject
from teamrun.models.makers import (
    BASE_URL,
    KEY_VARIABLES,
    OPENAI,
    Company,
    NoAddress,
    access_to,
    address_of,
    variable_of,
)
from teamrun.models.providers import Provider

__all__ = ["check_fallbacks", "check_options", "check_texts"]


def check_texts(fields: Fields, values: JsonMapping, problems: Problems) -> None:
    """Add the texts with a broken reference to a variable."""
    for name, value in values.items():
        if name != "script":  # its answers are taken as they are written
            for place in _malformed(value, fields.place(name)):
                problems.add(place, "invalid_definition", MALFORMED)


def _malformed(value: Any, where: str) -> Iterator[str]:
    """The pointers to the texts in a value that have a broken reference."""
    match value:
        case str() if malformed(value):
            yield where
        case dict():
            for key, item in cast("JsonObject", value).items():
                yield from _malformed(item, pointer(where, key))
        case list():
            for index, item in enumerate(cast("list[Any]", value)):
                yield from _malformed(item, pointer(where, index))
        case _:
            return


def check_options(
    row: Provider,
    fields: Fields,
    values: JsonMapping,
    environ: Mapping[str, str],
    problems: Problems,
) -> None:
    """Note the options that are wrong; one that needs a variable that is not set is not checked."""
    expanded: JsonObject = {}
    for name, value in values.items():
        with contextlib.suppress(MissingVariable):
            expanded[name] = value if name in row.options.verbatim else expand_all(value, environ)
    unknown = values.keys() - expanded.keys()
    if problems.is_in(fields.place("script_file")):
        unknown |= {"script"}
    given = {name: value for name, value in expanded.items() if value != ""}
    construct(row.options, fields, given, problems, unknown=unknown)
    if isinstance(row.access, Company):
        _check_address(fields, given, row.access, environ, problems)
    elif row.access is not None and row.address(given) is None:
        _check_key(fields, values, expanded, problems)
        _check_default_address(fields, given, environ, problems)


def _check_address(
    fields: Fields,
    given: JsonMapping,
    company: Company,
    environ: Mapping[str, str],
    problems: Problems,
) -> None:
    """The same for a company with a protocol of its own."""
    if "base_url" in fields.values and given.get("base_url"):
        return
    fault = http_url_fault(company("", None, environ).base_url)
    if fault is not None:
        variable = company.address_variable
        detail = f"'base_url' is not given, and the variable {variable} {fault}."
        problems.add(fields.place("model"), "invalid_definition", detail)


def _check_default_address(
    fields: Fields, given: JsonMapping, environ: Mapping[str, str], problems: Problems
) -> None:
    """Note an address of the environment that is no URL; the profile gives none itself."""
    model = given.get("model")
    if not isinstance(model, str):
        return
    try:
        fault = http_url_fault(address_of(model, None, environ))
    except NoAddress:
        return
    if fault is not None:
        detail = f"'base_url' is not given, and the variable {BASE_URL} {fault}."
        problems.add(fields.place("model"), "invalid_definition", detail)


def _check_key(
    fields: Fields, values: JsonMapping, expanded: JsonMapping, problems: Problems
) -> None:
    """Warn of a key of one company that the model's name would send to another one."""
    model, key = expanded.get("model"), values.get("api_key")
    has_address = "base_url" in values and expanded.get("base_url") != ""
    if not isinstance(model, str) or has_address:
        return
    right = variable_of(model)
    written = next((name for name in KEY_VARIABLES if key == f"${{{name}}}"), right)
    if right != OPENAI.variable and access_to(model, None, {written: "set"}).key is None:
        detail = (
            f"'api_key': {model!r} is called at a company whose key is not {written}. Write"
            f" '${{{right}}}', or name the server in 'base_url'."
        )
        problems.add(fields.place("api_key"), "invalid_definition", detail)


def check_fallbacks(profiles: Mapping[str, Profile | None], problems: Problems) -> None:
    """Add the fallbacks that do not exist or that lead back to their profile."""
    for profile in filter(None, profiles.values()):
        place = pointer(profile.where, "fallback")
        for index, name in enumerate(profile.fallback):
            where = place if len(profile.fallback) == 1 else pointer(place, index)
            if name not in profiles:
                hint = did_you_mean(name, profiles)
                detail = f"'fallback': there is no model profile {name!r}.{hint}"
                problems.add(where, "unknown_model", detail)
            elif profile.name in _reached(name, profiles):
                detail = f"'fallback': {profile.name!r} falls back to itself in the end."
                problems.add(where, "invalid_definition", detail)


def _reached(name: str, profiles: Mapping[str, Profile | None]) -> set[str]:
    """A profile and all that its fallbacks lead to."""
    found: set[str] = set()
    ahead = [name]
    while ahead:
        step = ahead.pop()
        profile = profiles.get(step)
        if step not in found and profile is not None:
            ahead += profile.fallback
        found.add(step)
    return found
