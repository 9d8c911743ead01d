"""Imports that the source of a tool needs in AutoGen, where a component's source is executed.

They are only written into components. Here, no source is executed and none of them has an effect.
"""

from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["Alias", "Import", "ImportFromModule"]


@dataclass(frozen=True, slots=True)
class Alias:
    """`import name as alias`, or a name with its alias in `from module import ...`."""

    name: str
    alias: str


@dataclass(frozen=True, slots=True)
class ImportFromModule:
    """`from module import ...`."""

    module: str
    imports: tuple[str | Alias, ...] | list[str | Alias]


Import: TypeAlias = str | ImportFromModule | Alias
"""One import: the name of a module, or one of the others."""
