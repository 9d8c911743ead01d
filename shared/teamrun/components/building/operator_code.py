"""The operator's own Python: tools and agents, named `package.module:name` in the team file."""

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from teamrun.components.reading.problems import did_you_mean

__all__ = ["ImportFailed", "OperatorCode"]


class ImportFailed(Exception):
    """A name cannot be imported; the text continues a sentence that begins with the name."""


class OperatorCode:
    """Imports the operator's modules.

    Modules are searched for in `folder`, the folder of the operator's file, first.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder

    def path(self, name: str) -> Path:
        """A path of the operator's file: relative to the folder of the file."""
        return Path(name) if self._folder is None else self._folder / name

    def find(self, name: str) -> Any:
        """The object that `package.module:name` refers to.

        Raises:
            ImportFailed: It cannot be imported.
        """
        module_name, _, attribute = name.partition(":")
        try:
            found: Any = self._module(module_name)
        # The operator's module may raise anything while it is imported; some call sys.exit.
        except (Exception, SystemExit) as error:
            text = str(error) or "it raised no text"
            raise ImportFailed(f"cannot be imported ({type(error).__name__}): {text}") from error
        for part in attribute.split("."):
            names = vars(found) if isinstance(found, (ModuleType, type)) else {}
            if part not in names:
                hint = did_you_mean(part, (name for name in names if not name.startswith("_")))
                raise ImportFailed(f"names {part!r}, which is not there.{hint}")
            found = names[part]
        return found

    def _module(self, name: str) -> ModuleType:
        if self._folder is None:
            return importlib.import_module(name)
        folder = str(self._folder)
        _refuse_namesake(name.partition(".")[0], self._folder)
        if folder not in sys.path:
            # In front, as for a script: the operator's own module wins over an installed one.
            sys.path.insert(0, folder)
        return importlib.import_module(name)


def _refuse_namesake(package: str, folder: Path) -> None:
    """Refuse to take a module of the same name that was imported from somewhere else."""
    loaded = sys.modules.get(package)
    here = [
        path
        for path in (folder / f"{package}.py", folder / package / "__init__.py")
        if path.exists()
    ]
    if loaded is None or not here or loaded.__file__ is None:
        return
    if Path(loaded.__file__).resolve() != here[0].resolve():
        raise ImportError(
            f"another module {package!r} is loaded already; give the one in the folder of the"
            " team file another name"
        )
