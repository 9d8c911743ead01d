"""Packages that import nothing: each of their names brings its module with it at first use.

So a process only pays for what it uses. A type checker reads the imports of the package, which are
below `if TYPE_CHECKING`.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any, NamedTuple

__all__ = ["Forwarding", "forwarding"]


class Forwarding(NamedTuple):
    """The two functions that a package needs."""

    getattr: Callable[[str], Any]
    """Its `__getattr__`."""
    dir: Callable[[], list[str]]
    """Its `__dir__`."""


def forwarding(package: str, modules: Mapping[str, Sequence[str]]) -> Forwarding:
    """The functions of a package that forwards names of other modules.

    Args:
        package: Its `__name__`.
        modules: The names to forward, by the module that has them; one that begins with a dot is
            a module of the package. A module without names is forwarded itself.
    """
    homes = {name: module for module, names in modules.items() for name in names}
    homes |= {module[1:]: module for module, names in modules.items() if not names}

    def find(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = import_module(homes[name], package)
        value = getattr(module, name) if modules[homes[name]] else module
        setattr(sys.modules[package], name, value)  # found without this function from now on
        return value

    return Forwarding(find, lambda: sorted({*vars(sys.modules[package]), *homes}))
