"""Registered custom agents: the names by which teams refer to agents of the operator's own code."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from teamrun.components.building.operator_code import ImportFailed, OperatorCode
from teamrun.components.definitions.custom_agents import CustomAgentEntry
from teamrun.components.definitions.digest import digest
from teamrun.components.reading.problems import did_you_mean, ended, listed
from teamrun.errors import DefinitionError

if TYPE_CHECKING:
    from teamrun.agents.base import BaseChatAgent

__all__ = ["CustomAgentTable", "MakeAgent"]

MakeAgent: TypeAlias = "Callable[..., BaseChatAgent]"
"""A class, or a function, called with `name` and perhaps `description`, `model_client`, options."""


class CustomAgentTable(Collection[str]):
    """All custom agents of a process by name.

    Modules are searched for in `folder`, the folder of the operator's file, first.
    """

    def __init__(
        self,
        entries: Iterable[CustomAgentEntry] = (),
        *,
        folder: Path | None = None,
        classes: Mapping[str, MakeAgent] | None = None,
    ) -> None:
        self._entries = {entry.name: entry for entry in entries}
        self._code = OperatorCode(folder)
        self._classes = dict(classes or {})

    def __iter__(self) -> Iterator[str]:
        return iter({**self._entries, **self._classes})

    def __len__(self) -> int:
        return len({**self._entries, **self._classes})

    def __contains__(self, name: object) -> bool:
        return name in self._entries or name in self._classes

    def digest(self, name: str) -> str:
        """The digest of a registration; its code is the operator's to version."""
        entry = self._entries.get(name)
        if entry is None:
            return digest({"class": name})
        return digest({"class": entry.target, "options": dict(entry.options)})

    def get(self, name: str) -> MakeAgent:
        """The class of that name, imported at its first use.

        Raises:
            DefinitionError: The class is unknown, or cannot be imported.
        """
        known = self._classes.get(name)
        if known is not None:
            return known
        entry = self._entries.get(name)
        if entry is None:
            hint = did_you_mean(name, self)
            raise DefinitionError(
                f"There is no custom agent {name!r}.{hint} Registered: {listed(self)}.",
                code="unknown_agent",
            )
        try:
            found = self._code.find(entry.target)
        except ImportFailed as error:
            raise _at(entry, str(error)) from error
        if not callable(found):
            raise _at(entry, f"is of type {type(found).__name__}; it must be a class or a function")
        return self._classes.setdefault(name, cast("MakeAgent", found))

    def make(self, agent: str, *, name: str, **options: Any) -> "BaseChatAgent":
        """A new agent of a registered class.

        Args:
            agent: The registered name.
            name: Of the agent in its team.
            options: `description` and `model_client`, if the definition has them.

        Raises:
            DefinitionError: The class is unknown, or does not create an agent of that name.
        """
        # Imported late: a process that only accepts runs needs no agents.
        from teamrun.agents.base import BaseChatAgent

        entry = self._entries.get(agent) or CustomAgentEntry(name=agent, target=agent)
        try:
            made = self.get(agent)(name=name, **options, **entry.options)
        except DefinitionError:
            raise
        except Exception as error:
            raise _at(entry, f"failed to create an agent: {error}") from error
        if not isinstance(made, BaseChatAgent):  # pyright: ignore[reportUnnecessaryIsInstance] - the operator's code
            raise _at(entry, f"created a {type(made).__name__}, not a BaseChatAgent")
        if made.name != name:
            raise _at(entry, f"created an agent named {made.name!r}; pass on 'name', here {name!r}")
        return made


def _at(entry: CustomAgentEntry, what: str) -> DefinitionError:
    return DefinitionError(
        f"The custom agent {entry.name!r}: {entry.target!r} {ended(what)}",
        pointer=entry.where + "/class" if entry.where else "",
    )
