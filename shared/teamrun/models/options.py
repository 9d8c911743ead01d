"""The base of the options of model profiles; each provider has its own class."""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from teamrun.json_types import JsonObject

__all__ = ["ProfileOptions"]


class ProfileOptions(BaseModel):
    """Options of every type of profile."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        defer_build=True,
        hide_input_in_errors=True,
        protected_namespaces=(),
    )

    secret: ClassVar[frozenset[str]] = frozenset()
    """Options that are no part of the profile's digest."""
    verbatim: ClassVar[frozenset[str]] = frozenset()
    """Options whose texts are not expanded."""
    aliases: ClassVar[Mapping[str, str]] = {}
    """Other names of options, each with the option's own."""
    file_only: ClassVar[frozenset[str]] = frozenset()
    """Names in the operator's file that are replaced while it is read."""

    model_info: JsonObject | None = None

    def arguments(self) -> JsonObject:
        """The arguments of the client's constructor."""
        return self.model_dump(exclude_none=True)
