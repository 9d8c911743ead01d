"""How values of some fields are serialized.

Pydantic has the same in `functional_serializers`, a hundredth of the start of an engine.
"""

from collections.abc import Callable
from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

__all__ = ["ByItsClass", "serialized_by"]


class ByItsClass:
    """Metadata of a field: a value is serialized by its own class, which may be a subclass."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(
            _same, handler(source), serialization=core_schema.simple_ser_schema("any")
        )


def serialized_by(
    encode: Callable[[Any], Any], source: Any, handler: GetCoreSchemaHandler
) -> CoreSchema:
    """The schema of a class whose objects are serialized by a function."""
    return core_schema.no_info_after_validator_function(
        _same,
        handler(source),
        serialization=core_schema.plain_serializer_function_ser_schema(encode),
    )


def _same(value: Any) -> Any:
    return value
