"""AutoGen component JSON, `{provider, component_type, version, config}`, taken apart.

`unwrap` opens one component; the readers of teams, agents and conditions take its `config`.
Models and tools are never created from a component. They are replaced by registered ones: a model
by the profile for the same model, a tool by the registered tool of the same name.
"""

from typing import Any, Final, NamedTuple, cast

from teamrun.components.autogen.providers import KINDS, MODELS, UNSUPPORTED, Kind, Known
from teamrun.components.reading.fields import as_list, as_object
from teamrun.components.reading.problems import Problems, did_you_mean, listed, pointer, shown
from teamrun.components.reading.scope import Scope
from teamrun.json_types import JsonMapping, JsonObject

__all__ = ["Component", "model_profile", "tool_names", "unwrap"]

_MASKED: Final = "**********"
_FOREIGN_KEYS: Final = ("aws_access_key", "aws_secret_key", "aws_session_token")
"""In the `bedrock_info` of a client of Bedrock."""
_FOREIGN_CLIENT: Final = frozenset(
    {"base_url", "azure_endpoint", "endpoint", "host", "default_headers", "azure_ad_token"}
)


class Component(NamedTuple):
    """An opened component."""

    provider: str
    type: str
    """The canonical type name."""
    config: JsonObject
    where: str
    """The pointer to `config`."""


def unwrap(raw: Any, where: str, kind: Kind, problems: Problems) -> Component | None:
    """Open a component of that kind; None: a problem was added."""
    source = as_object(raw, where, problems, what=f"a {kind} component")
    if source is None:
        return None
    provider = str(source.get("provider"))
    known = KINDS[kind].get(provider)
    if known is None:
        _note_provider(provider, pointer(where, "provider"), kind, problems)
        return None
    if not _version_is_known(source, known, where, problems):
        return None
    place = pointer(where, "config")
    config = as_object(source.get("config", {}), place, problems, what="'config'")
    return None if config is None else Component(provider, known.type, config, place)


def model_profile(raw: Any, where: str, scope: Scope, problems: Problems) -> str | None:
    """The profile that replaces a model component; None: a problem was added.

    The name of a profile is accepted in place of a component.
    """
    if isinstance(raw, str):
        scope.check_model(raw, where, problems)
        return raw
    source = as_object(raw, where, problems, what="a model component")
    if source is None:
        return None
    provider = str(source.get("provider"))
    if provider not in MODELS:
        _note_provider(provider, pointer(where, "provider"), "model", problems)
        return None
    place = pointer(where, "config")
    config = as_object(source.get("config", {}), place, problems, what="'config'")
    if config is None or not _brings_no_address(config, place, problems):
        return None
    model = config.get("model")
    profile = scope.profile_of(model) if isinstance(model, str) else None
    if profile is None:
        detail = f"No model profile is for {shown(model)}; registered: {listed(scope.models)}."
        problems.add(pointer(place, "model"), "unknown_model", detail)
        return None
    for key in sorted(config.keys() - {"model", "api_key", "model_info", *_FOREIGN_CLIENT}):
        problems.warn(pointer(place, key), f"{key!r} is decided by the model profile {profile!r}.")
    return profile


def tool_names(config: JsonMapping, where: str, scope: Scope, problems: Problems) -> list[str]:
    """The tools of an agent component, from `workbench` (version 2) or `tools` (version 1).

    The name of a registered tool is accepted in place of a tool or a workbench.
    """
    names = _tools_of(config.get("tools"), pointer(where, "tools"), scope, problems)
    bench = config.get("workbench")
    place = pointer(where, "workbench")
    if isinstance(bench, (list, tuple)):
        several = [
            (pointer(place, index), item) for index, item in enumerate(cast("list[Any]", bench))
        ]
    else:
        several = [] if bench is None else [(place, bench)]
    for at, item in several:
        names += _bench_tools(item, at, scope, problems)
    return names


def _bench_tools(raw: Any, where: str, scope: Scope, problems: Problems) -> list[str]:
    if isinstance(raw, str):
        return [_registered(raw, where, scope, problems)]
    bench = unwrap(raw, where, "workbench", problems)
    if bench is None:
        return []
    if bench.config.get("tool_overrides"):
        place = pointer(bench.where, "tool_overrides")
        detail = "Overrides of tools are not taken; register the tool under the other name."
        problems.add(place, "component_json_not_supported", detail)
    return _tools_of(bench.config.get("tools"), pointer(bench.where, "tools"), scope, problems)


def _tools_of(raw: Any, where: str, scope: Scope, problems: Problems) -> list[str]:
    names: list[str] = []
    if raw is None:
        return names
    for index, item in enumerate(as_list(raw, where, problems, what="'tools'")):
        if isinstance(item, str):
            names.append(_registered(item, pointer(where, index), scope, problems))
            continue
        tool = unwrap(item, pointer(where, index), "tool", problems)
        if tool is None:
            continue
        name = tool.config.get("name")
        if tool.config.get("source_code") is not None:
            problems.add(
                pointer(tool.where, "source_code"),
                "source_not_allowed",
                f"The source of the tool {shown(name)} is not taken; have it registered by the"
                f" operator and leave the source out. Registered: {listed(scope.tools)}.",
            )
            continue
        names.append(_registered(str(name), pointer(tool.where, "name"), scope, problems))
    return names


def _registered(name: str, where: str, scope: Scope, problems: Problems) -> str:
    scope.check_tool(name, where, problems)
    return name


def _brings_no_address(config: JsonMapping, where: str, problems: Problems) -> bool:
    """Whether a model component leaves address and key to the operator; a masked key is no key."""
    foreign = [key for key in sorted(_FOREIGN_CLIENT & config.keys()) if config[key] is not None]
    if _is_key(config.get("api_key")):
        foreign.append("api_key")
    places = [(key, pointer(where, key)) for key in foreign]
    bedrock: Any = config.get("bedrock_info")
    if isinstance(bedrock, dict):
        given = cast(JsonObject, bedrock)
        inner = pointer(where, "bedrock_info")
        places += [(key, pointer(inner, key)) for key in _FOREIGN_KEYS if _is_key(given.get(key))]
    for key, place in places:
        detail = f"{key!r} belongs to the operator's model profiles; remove it."
        problems.add(place, "unknown_field", detail)
    return not places


def _is_key(value: Any) -> bool:
    return value not in (None, "", _MASKED)


def _version_is_known(source: JsonMapping, known: Known, where: str, problems: Problems) -> bool:
    for key in ("version", "component_version"):
        version = source.get(key)
        is_known = type(version) is int and 1 <= version <= known.version  # `true` equals 1
        if version is not None and not is_known:
            problems.add(
                pointer(where, key),
                "unknown_version",
                f"{key!r} is {shown(version)}; {known.type} is known up to version"
                f" {known.version}.",
            )
            return False
    return True


def _note_provider(provider: str, where: str, kind: Kind | str, problems: Problems) -> None:
    instead = UNSUPPORTED.get(provider)
    if instead is not None:
        detail = f"{provider!r} is not converted; write {instead} instead."
        problems.add(where, "component_json_not_supported", detail)
        return
    known = MODELS if kind == "model" else KINDS[cast("Kind", kind)]
    hint = did_you_mean(provider, known) or f" Known: {listed(known)}."
    problems.add(where, "unknown_provider", f"{shown(provider)} is no known {kind} provider.{hint}")
