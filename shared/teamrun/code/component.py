"""Executors of code as components: a program must allow them, because they execute anything."""

from typing import Any

from teamrun.core.component.loading import given
from teamrun.core.component.writing import provider_name
from teamrun.errors import DefinitionError
from teamrun.json_types import JsonObject

__all__ = ["make_local", "write_local"]


def write_local(executor: Any) -> JsonObject:
    """The folder as a text; AutoGen's `functions_module` has its default."""
    folder = executor._work_dir
    return {"functions_module": "functions", "work_dir": None if folder is None else str(folder)}


def make_local(cls: type, arguments: JsonObject) -> Any:
    """An executor, if the program passed its class.

    Raises:
        DefinitionError: It did not.
    """
    if provider_name(cls) not in given().classes:
        raise DefinitionError(
            f"A {cls.__name__} executes any code on this machine. If that is wanted, pass its "
            f"class to load_component(..., classes=[{cls.__name__}]).",
            code="source_not_allowed",
        )
    arguments.pop("functions_module", None)  # this library has no functions in executors
    return cls(**arguments)
