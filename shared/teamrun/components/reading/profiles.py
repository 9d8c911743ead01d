"""The `models` of the operator's file: a map from name to profile, or a list of profiles."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from pydantic import BaseModel

from teamrun.components.definitions.environment import MissingVariable, expand_all
from teamrun.components.definitions.profiles import (
    NO_PACE,
    BreakerOptions,
    CacheOptions,
    FallbackOptions,
    PaceOptions,
    PriceOptions,
    Profile,
)
from teamrun.components.reading.fields import Fields, as_object, construct, read_fields
from teamrun.components.reading.file_text import read_text
from teamrun.components.reading.json_text import load_json
from teamrun.components.reading.problems import Problems, did_you_mean, listed, pointer, shown
from teamrun.components.reading.profile_checks import check_fallbacks, check_options, check_texts
from teamrun.components.reading.yaml_text import load_yaml
from teamrun.errors import DefinitionError
from teamrun.json_types import JsonMapping, JsonObject
from teamrun.models.makers import OPENAI, Company
from teamrun.models.providers import PLANNED, PROVIDERS

__all__ = ["implicit_profile", "read_profiles"]

_PACE: Final = tuple(PaceOptions.model_fields)
_FALLBACK: Final = tuple(FallbackOptions.model_fields)
_COMMON: Final = ("type", *_FALLBACK, "price", "circuit_breaker", "cache", *_PACE)

OptionsT = TypeVar("OptionsT", bound=BaseModel)


def read_profiles(
    raw: Any, where: str, problems: Problems, *, folder: Path, environ: Mapping[str, str]
) -> dict[str, Profile | None]:
    """All profiles by name, None for an invalid one; adds the problems.

    Args:
        raw: The section of the file.
        where: The pointer to it.
        problems: The list to add problems to.
        folder: The folder of the file; scripts are read from it.
        environ: The environment that `${NAME}` is read from.
    """
    profiles: dict[str, Profile | None] = {}
    for name, item, place in _items(raw, where, problems):
        profile = _profile(name, item, place, problems, folder=folder, environ=environ)
        if name in profiles:
            detail = f"There are two profiles {name!r}; use one of them another 'name'."
            problems.add(place, "invalid_definition", detail)
        profiles[name] = profile
    check_fallbacks(profiles, problems)
    return profiles


def implicit_profile(name: str) -> Profile | None:
    """The profile that `provider:model` means in the operator's file."""
    provider, _, model = name.partition(":")
    row = PROVIDERS.get(provider)
    if row is None or not model:
        return None
    if row.is_ambient:
        return Profile(name, provider, {"model": model})
    if row.access is None:
        return None
    if isinstance(row.access, Company):
        options = {
            "model": model,
            "api_key": f"${{{row.access.variable}}}",
            "base_url": f"${{{row.access.address_variable}:-}}",
        }
        return Profile(name, provider, options)
    variable = row.variable(model)
    options = {"model": model, "api_key": f"${{{variable}}}"}
    if variable == OPENAI.variable:
        options["base_url"] = "${OPENAI_BASE_URL:-}"
    return Profile(name, provider, options)


def _items(raw: Any, where: str, problems: Problems) -> list[tuple[str, JsonObject, str]]:
    if raw is None:
        return []
    listed_items = isinstance(raw, list)
    pairs: list[tuple[str | int, Any]]
    if listed_items:
        pairs = list(enumerate(cast("list[Any]", raw)))
    else:
        pairs = list((as_object(raw, where, problems, what="'models'") or {}).items())
    found: list[tuple[str, JsonObject, str]] = []
    for key, item in pairs:
        place = pointer(where, key)
        source = as_object(item, place, problems, what="a model profile")
        if source is None:
            continue
        name = source.pop("name", None) if listed_items else key
        name = name or source.get("model") or source.get("model_id")
        if isinstance(name, str):
            found.append((name, source, place))
        else:
            problems.add(pointer(place, "name"), "invalid_definition", "'name' is needed.")
    return found


def _type_of(source: JsonMapping) -> str | None:
    """The default type of a profile: OpenAI's if it has a model."""
    return "openai" if "model" in source or "model_id" in source else None


def _profile(
    name: str,
    source: JsonMapping,
    where: str,
    problems: Problems,
    *,
    folder: Path,
    environ: Mapping[str, str],
) -> Profile | None:
    kind = source.get("type", _type_of(source))
    row = PROVIDERS.get(kind) if isinstance(kind, str) else None
    if row is None:
        _note_type(kind, pointer(where, "type"), problems)
        return None
    before = len(problems.found)
    options = row.options
    known = {key: key for key in (*_COMMON, *options.model_fields, *options.file_only)}
    known |= options.aliases
    fields = read_fields(source, where, known, problems, what=f"a profile of type {kind!r}")
    values = {
        key: value
        for key, value in fields.values.items()
        if key not in _COMMON and value is not None
    }
    fields = _with_script(fields, values, folder, problems)
    check_texts(fields, values, problems)
    price = _part(PriceOptions, fields, "price", "a price", problems)
    breaker = _part(BreakerOptions, fields, "circuit_breaker", "a circuit breaker", problems)
    cache = _part(CacheOptions, fields, "cache", "a response cache", problems)
    pace = _options(PaceOptions, fields, environ, problems)
    stand_ins = _options(FallbackOptions, fields, environ, problems)
    check_options(row, fields, values, environ, problems)
    if len(problems.found) > before or stand_ins is None:
        return None
    return Profile(
        name,
        str(kind),
        values,
        stand_ins.fallback or (),
        where,
        None if price is None else price.price(),
        NO_PACE if pace is None else pace.pace(),
        stand_ins.fallback_on_content_filter,
        breaker,
        cache,
    )


def _part(
    of: type[OptionsT], fields: Fields, name: str, what: str, problems: Problems
) -> OptionsT | None:
    """The object under a name that every type of profile has; its texts are not expanded."""
    raw, place = fields.values.get(name), fields.place(name)
    if raw is None:
        return None
    source = as_object(raw, place, problems, what=what)
    if source is None:
        return None
    known = {field: field for field in of.model_fields}
    given = read_fields(source, place, known, problems, what=what)
    return construct(of, given, given.values, problems)


def _options(
    of: type[OptionsT], fields: Fields, environ: Mapping[str, str], problems: Problems
) -> OptionsT | None:
    """The options of every type of profile that `of` has as fields."""
    given: JsonObject = {}
    for name in of.model_fields:
        value = fields.values.get(name)
        try:
            expanded = None if value is None else expand_all(value, environ)
        except MissingVariable as error:
            detail = f"{error.message[:-1]}; set it or give a default: ${{{error.name}:-...}}."
            problems.add(fields.place(name), "invalid_definition", detail)
            continue
        if expanded not in (None, ""):  # `${NAME:-}` means that the option is absent
            given[name] = expanded
    return construct(of, fields, given, problems)


def _with_script(fields: Fields, values: JsonObject, folder: Path, problems: Problems) -> Fields:
    """Put the content of `script_file`, which lies beside the team file, in its place.

    Returns:
        The fields; a problem of the script is reported at its location in `script_file`.
    """
    written = values.pop("script_file", None)
    if written is None:
        return fields
    place = fields.place("script_file")
    if "script" in values:
        detail = "'script' and 'script_file' mean the same; use one of them."
        problems.add(place, "invalid_definition", detail)
        return fields
    path = folder / str(written)
    try:
        text = read_text(path)
        is_json = path.suffix == ".json"
        values["script"] = load_json(text) if is_json else load_yaml(text, source=path.name).value
    except (OSError, ValueError) as error:
        detail = f"'script_file': {written!r} cannot be read: {error}."
        problems.add(place, "invalid_definition", detail)
    except DefinitionError as error:
        problems.add(place, "invalid_definition", f"'script_file': {error.message}")
    return fields._replace(spelled={**fields.spelled, "script": "script_file"})


def _note_type(kind: Any, where: str, problems: Problems) -> None:
    planned = PLANNED.get(kind) if isinstance(kind, str) else None
    if planned is not None:
        detail = f"'type': {kind!r} is not available yet. {planned.remedy}".rstrip()
        problems.add(where, "not_available_yet", detail)
        return
    hint = did_you_mean(str(kind), PROVIDERS)
    detail = f"'type': no model type {shown(kind)}.{hint} There are {listed(PROVIDERS)}."
    if kind is None:
        detail = f"'type' is needed: one of {listed(PROVIDERS)}."
    problems.add(where, "unknown_provider", detail)
