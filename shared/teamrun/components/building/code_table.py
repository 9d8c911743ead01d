"""The operator's own code by the names that definitions use for it."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Final, cast

from teamrun.components.building.operator_code import ImportFailed, OperatorCode
from teamrun.components.definitions.digest import digest
from teamrun.components.definitions.operator_code import CodeEntry
from teamrun.components.reading.problems import ProblemCode, did_you_mean, ended, listed
from teamrun.errors import DefinitionError

__all__ = ["CodeTable", "FunctionTable"]


class CodeTable(Collection[str]):
    """All code of one sort that the operator registered.

    Modules are searched for in `folder`, the folder of the operator's file, first. `given` are
    objects that exist already.
    """

    sort: ClassVar[str]
    """What an entry is, in messages."""
    field: ClassVar[str]
    """The field of an entry that names the code."""
    unknown: ClassVar[ProblemCode]
    """The code of the error if there is no such entry."""

    def __init__(
        self,
        entries: Iterable[CodeEntry] = (),
        *,
        folder: Path | None = None,
        given: Mapping[str, Any] | None = None,
    ) -> None:
        self._entries = {entry.name: entry for entry in entries}
        self._code = OperatorCode(folder)
        self._found = dict(given or {})

    def __iter__(self) -> Iterator[str]:
        return iter({**self._entries, **self._found})

    def __len__(self) -> int:
        return len({**self._entries, **self._found})

    def __contains__(self, name: object) -> bool:
        return name in self._entries or name in self._found

    def digest(self, name: str) -> str:
        """The digest of a registration; its code is the operator's to version."""
        entry = self._entries.get(name)
        if entry is None:
            return digest({self.field: name})
        return digest({self.field: entry.target, "options": dict(entry.options)})

    def get(self, name: str) -> Any:
        """The code of that name, imported at its first use.

        Raises:
            DefinitionError: There is none, or it cannot be imported.
        """
        known = self._found.get(name)
        if known is not None:
            return known
        entry = self._entries.get(name)
        if entry is None:
            hint = did_you_mean(name, self)
            raise DefinitionError(
                f"There is no {self.sort} {name!r}.{hint} Registered: {listed(self)}.",
                code=self.unknown,
            )
        try:
            found = self._usable(entry, self._code.find(entry.target))
        except ImportFailed as error:
            raise self.fault(name, str(error)) from error
        return self._found.setdefault(name, found)

    def preload(self, name: str) -> None:
        """Import the code of that name.

        Raises:
            DefinitionError: It cannot be imported.
        """
        self.get(name)

    def fault(self, name: str, what: str) -> DefinitionError:
        """An error in the code of that name, with its place in the file."""
        entry = self._entries.get(name) or CodeEntry(name=name, target=name)
        return DefinitionError(
            f"The {self.sort} {name!r}: {entry.target!r} {ended(what)}",
            pointer=f"{entry.where}/{self.field}" if entry.where else "",
        )

    def _usable(self, entry: CodeEntry, found: Any) -> Any:
        """The object as it is used.

        Raises:
            ImportFailed: It is of another kind.
        """
        raise NotImplementedError


_ANYTHING: Final = "it must be a function, a class or a team"


class FunctionTable(CodeTable):
    """Functions, classes of conditions, and functions that make teams."""

    sort = "function"
    field = "function"
    unknown = "unknown_function"

    def _usable(self, entry: CodeEntry, found: Any) -> Any:
        if not callable(found):
            # Imported late: a process that only accepts runs needs no teams.
            from teamrun.teams.base import BaseGroupChat

            if not isinstance(found, BaseGroupChat):
                raise ImportFailed(f"is of type {type(found).__name__}; {_ANYTHING}")
            if entry.options:
                raise ImportFailed("is a team, which takes no 'options'; name a function")
        return partial(cast("Any", found), **entry.options) if entry.options else found
