"""Registered custom agents: the names by which teams refer to agents of the operator's own code."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from teamrun.components.building.code_table import CodeTable
from teamrun.components.building.operator_code import ImportFailed
from teamrun.components.definitions.operator_code import CodeEntry
from teamrun.errors import DefinitionError

if TYPE_CHECKING:
    from teamrun.agents.base import BaseChatAgent

__all__ = ["CustomAgentTable", "MakeAgent"]

MakeAgent: TypeAlias = "Callable[..., BaseChatAgent]"
"""A class, or a function, called with `name` and perhaps `description`, `model_client`, options."""


class CustomAgentTable(CodeTable):
    """All custom agents of a process by name."""

    sort = "custom agent"
    field = "class"
    unknown = "unknown_agent"

    def _usable(self, entry: CodeEntry, found: Any) -> Any:
        if not callable(found):
            raise ImportFailed(
                f"is of type {type(found).__name__}; it must be a class or a function"
            )
        return found

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

        entry = self._entries.get(agent) or CodeEntry(name=agent, target=agent)
        try:
            made = self.get(agent)(name=name, **options, **entry.options)
        except DefinitionError:
            raise
        except Exception as error:
            raise self.fault(agent, f"failed to create an agent: {error}") from error
        if not isinstance(made, BaseChatAgent):
            raise self.fault(agent, f"created a {type(made).__name__}, not a BaseChatAgent")
        if made.name != name:
            what = f"created an agent named {made.name!r}; pass on 'name', here {name!r}"
            raise self.fault(agent, what)
        return made
