"""A component as data."""

from typing import Final

from pydantic import BaseModel, FieldSerializationInfo, field_serializer

from teamrun.json_types import JsonObject

__all__ = ["KEEP_SECRETS", "ComponentModel"]

KEEP_SECRETS: Final = {"secrets": "kept"}
"""The serialization context in which keys stay `SecretStr` objects."""


class ComponentModel(BaseModel, defer_build=True):
    """A component as data.

    `model_dump` and `model_dump_json` mask keys as `**********`; a masked key is read as absent.
    The object itself has keys as `SecretStr`, so one that is loaded in the same process keeps them.
    """

    provider: str
    """The name of the class."""
    component_type: str | None = None
    """Its kind: `agent`, `team`, `termination`, `model`, `tool` and so on."""
    version: int | None = None
    """The version of the form; AutoGen writes that of the component here too."""
    component_version: int | None = None
    """The version of `config`; without it, the current one."""
    description: str | None = None
    label: str | None = None
    """A name for people; it has no effect."""
    config: JsonObject

    @field_serializer("config")
    def _mask(self, config: JsonObject, info: FieldSerializationInfo) -> JsonObject:
        if info.context is KEEP_SECRETS:
            return config
        from teamrun.core.component.writing import masked

        return masked(config)
