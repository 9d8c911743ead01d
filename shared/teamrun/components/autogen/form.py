"""The shape by which AutoGen component JSON is recognised."""

from collections.abc import Mapping
from typing import Any, cast

__all__ = ["is_component"]


def is_component(raw: Any) -> bool:
    """Whether a value has the shape of a component."""
    if not isinstance(raw, Mapping):
        return False
    keys = {str(key) for key in cast("Mapping[Any, Any]", raw)}
    return "provider" in keys and bool(keys & {"config", "component_type", "component_version"})
