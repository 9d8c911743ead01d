"""The shapes by which AutoGen component JSON is recognised."""

from collections.abc import Mapping
from typing import Any, cast

from teamrun.json_types import JsonMapping

__all__ = ["is_component", "place_inside"]


def is_component(raw: Any) -> bool:
    """Whether a value has the shape of a component."""
    if not isinstance(raw, Mapping):
        return False
    keys = {str(key) for key in cast("Mapping[Any, Any]", raw)}
    return "provider" in keys and bool(keys & {"config", "component_type", "component_version"})


def place_inside(raw: Any) -> str | None:
    """Where a component is in an object of AutoGen Studio, as a JSON pointer; None: nowhere.

    Studio stores a team as a record with the component in `component`, or in `config` inside of a
    gallery's record, and exports a gallery with lists in `components`.
    """
    if not isinstance(raw, Mapping):
        return None
    record = cast("JsonMapping", raw)
    for name in ("component", "config", "team_component", "team"):
        if is_component(record.get(name)):
            return f"/{name}"
    for at, gallery in (("", record), ("/config", record.get("config"))):
        components = _part(gallery, "components")
        teams = _part(components, "teams")
        if isinstance(teams, list) and teams and is_component(cast("list[object]", teams)[0]):
            return f"{at}/components/teams/0"
    return None


def _part(raw: object, name: str) -> object:
    return cast("JsonMapping", raw).get(name) if isinstance(raw, Mapping) else None
