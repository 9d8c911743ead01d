"""The finder of AutoGen's modules: it creates them from the table, one by one, when imported."""

import sys
import warnings
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Final

from teamrun.compat.autogen.table import ABSENT, MODULES, PAGES, homes, packages
from teamrun.errors import UsageError

__all__ = ["VERSIONS", "install"]

_FAMILY: Final = ("autogen_agentchat", "autogen_core", "autogen_ext")
VERSIONS: Final = {**dict.fromkeys(_FAMILY, "0.7.5+teamrun"), "autogen": "0.2.40+teamrun"}
"""`__version__` of each package: the release whose behaviour it has."""


class _Modules(Loader):
    """Creates modules whose names are looked up in the table."""

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return None  # an ordinary module

    def exec_module(self, module: ModuleType) -> None:
        name = module.__name__
        module.__doc__ = f"The names of {name} on Teamrun; see {_page(name)}."
        if name in VERSIONS:
            vars(module)["__version__"] = VERSIONS[name]
        # PEP 562; pyright takes them for the methods of ModuleType.
        vars(module)["__getattr__"] = _getter(name)
        vars(module)["__dir__"] = lambda: sorted({*vars(module), *_present(name)})


class _Finder(MetaPathFinder):
    """Comes first of all finders, and leaves an installed AutoGen to the others."""

    def __init__(self) -> None:
        self.replaces = False
        self._modules = _Modules()
        self._left: set[str] = set()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        top = fullname.partition(".")[0]
        if top not in PAGES:
            return None
        if fullname == top and not self.replaces and (others := self._installed(top)):
            self._leave(others)
        if top in self._left:
            return None
        if fullname not in packages():
            raise ModuleNotFoundError(
                f"There is no module {fullname!r} on Teamrun. {_page(fullname)} in Teamrun's "
                "sources says what to use in its place.",
                name=fullname,
            )
        return ModuleSpec(fullname, self._modules, origin="teamrun.compat.autogen", is_package=True)

    def _installed(self, top: str) -> list[str]:
        """Which packages of the same release are installed: two halves would not fit together."""
        names = _FAMILY if top in _FAMILY else (top,)
        finders = [each for each in sys.meta_path if each is not self]
        return [name for name in names if any(each.find_spec(name, None) for each in finders)]

    def _leave(self, installed: list[str]) -> None:
        names = _FAMILY if installed[0] in _FAMILY else ("autogen",)
        if not self._left.issuperset(names):
            warnings.warn(
                f"{', '.join(installed)} is installed in this environment and is used as it is, "
                "not Teamrun. To use Teamrun, call teamrun.compat.autogen.install(replace=True) "
                "before the import, or start the script with `python -m teamrun.compat.autogen "
                "--replace`.",
                stacklevel=2,
            )
        self._left.update(names)


def _getter(module: str) -> Callable[[str], Any]:
    def find(name: str) -> Any:
        if name == "__all__":
            return _present(module)
        if f"{module}.{name}" in packages():
            return import_module(f"{module}.{name}")
        if name not in homes(module):
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        value = _value(module, name)
        if value is _NOTHING:
            # Imported late: it is only read for the message.
            from teamrun.compat.autogen.instead import instead

            raise ImportError(
                f"Teamrun has no {name!r} of {module!r}. In its place: {instead(module, name)}. "
                f"See {_page(module)} in Teamrun's sources.",
                name=module,
            )
        setattr(sys.modules[module], name, value)  # found without this function from now on
        return value

    return find


_NOTHING: Final = object()


def _value(module: str, name: str) -> Any:
    home, ours = homes(module)[name]
    if home == ABSENT:
        return _NOTHING
    try:
        return getattr(import_module(home), ours, _NOTHING)
    except ModuleNotFoundError as error:
        if error.name is None or not home.startswith(error.name):
            raise  # a package that our module needs
        return _NOTHING


def _present(module: str) -> list[str]:
    """The names that can be imported; `from module import *` imports these."""
    return sorted(name for name in homes(module) if _value(module, name) is not _NOTHING)


def _page(module: str) -> str:
    return PAGES[module.partition(".")[0]]


_FINDER: Final = _Finder()


def install(*, replace: bool = False) -> None:
    """Make the names of AutoGen importable in this process; `import teamrun.compat.autogen` does.

    Args:
        replace: Also in place of an AutoGen that is installed. Otherwise it is used as it is, with
            a warning at its first import.

    Raises:
        UsageError: `replace`, and a module of the installed AutoGen is already imported.
    """
    if replace:
        taken = [
            name
            for name in sorted(sys.modules)
            if name in MODULES
            and (spec := sys.modules[name].__spec__) is not None
            and not isinstance(spec.loader, _Modules)
        ]
        if taken:
            raise UsageError(
                f"{taken[0]} of the installed AutoGen is already imported; call install() before.",
                module=taken[0],
            )
    _FINDER.replaces = _FINDER.replaces or replace
    if _FINDER not in sys.meta_path:
        sys.meta_path.insert(0, _FINDER)
