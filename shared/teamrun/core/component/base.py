"""The base class of everything that can be written as a component, and read from one.

Above it: the seams (agents, teams, conditions, contexts, memory, model clients, tools,
workbenches), which derive from `ComponentBase`, and classes of the user's own. Below it:
`table.py`, the row of each class; `writing.py` and `loading.py`, which are imported at first use.

The form is AutoGen's: `{provider, component_type, version, component_version, description, label,
config}` (autogen_core/_component_config.py of AutoGen 0.4 to 0.7).
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar, overload

from pydantic import BaseModel

from teamrun.core.component.table import kind_of, provider_of, version_of
from teamrun.json_types import JsonMapping, JsonObject

if TYPE_CHECKING:
    from teamrun.core.component.model import ComponentModel
    from teamrun.core.protocols import InputFunc

__all__ = [
    "Component",
    "ComponentBase",
    "ComponentLoader",
    "ComponentWarning",
]

ConfigT = TypeVar("ConfigT", bound=BaseModel)
ExpectedT = TypeVar("ExpectedT")


class ComponentWarning(UserWarning):
    """Something of an object is not in its component, or something of a component is not used."""


class _OfRow:
    """A class variable whose value is that of the class's row in the table."""

    def __init__(self, find: Callable[[type], Any]) -> None:
        self._find = find

    def __get__(self, instance: object, owner: type) -> Any:
        return self._find(owner)


def _schema(cls: type) -> type[BaseModel]:
    from teamrun.core.component.writing import schema_of

    return schema_of(cls)


class ComponentLoader:
    """Reads components; every class that can be written as one has `load_component`."""

    @overload
    @classmethod
    def load_component(
        cls,
        model: "ComponentModel | JsonMapping",
        expected: None = None,
        *,
        tools: Iterable[Any] | None = None,
        model_client: Any = None,
        classes: Iterable[type] | None = None,
        input_func: "InputFunc | None" = None,
    ) -> Self: ...

    @overload
    @classmethod
    def load_component(
        cls,
        model: "ComponentModel | JsonMapping",
        expected: type[ExpectedT],
        *,
        tools: Iterable[Any] | None = None,
        model_client: Any = None,
        classes: Iterable[type] | None = None,
        input_func: "InputFunc | None" = None,
    ) -> ExpectedT: ...

    @classmethod
    def load_component(
        cls,
        model: "ComponentModel | JsonMapping",
        expected: type[ExpectedT] | None = None,
        *,
        tools: Iterable[Any] | None = None,
        model_client: Any = None,
        classes: Iterable[type] | None = None,
        input_func: "InputFunc | None" = None,
    ) -> Self | ExpectedT:
        """Create the object that a component describes.

        Nothing is imported and no source is executed because a component says so: provider names
        are looked up in a table. What a component cannot bring along is given by the program, and
        applies to all components inside.

        Args:
            model: The component, as `dump_component` returns it or as `json.loads` reads it.
            expected: The class that the object must have; by default the one this is called on.
            tools: Tools and functions. A tool component becomes the tool of its name; `source_code`
                of a `FunctionTool` is never executed.
            model_client: The model client in place of those in the component: one for all, or a
                mapping from the names of models to clients. A model that it does not name is
                created from the component.
            classes: Classes of your own, and pydantic classes of structured answers, that the
                component names.
            input_func: Asks the person, for each `UserProxyAgent`.

        Raises:
            DefinitionError: The component is invalid, or needs something that was not given;
                `pointer` is the place.
            TypeError: The object is of another class than expected.
        """
        from teamrun.core.component.loading import Given, loaded

        given = Given.of(
            tools=tools, model_client=model_client, classes=classes, input_func=input_func
        )
        return loaded(model, given, caller=cls, expected=expected or cls)


class ComponentBase(ComponentLoader, Generic[ConfigT]):
    """The base of a seam: its classes can be written as components.

    A class of your own also derives from `Component`, and writes `_to_config`, `_from_config` and
    `component_config_schema`.
    """

    if TYPE_CHECKING:
        component_type: ClassVar[str]
        """The kind of the component."""
        component_version: ClassVar[int]
        """The version of the configuration that is written, and the highest one that is read."""
        component_provider_override: ClassVar[str | None]
        """The name in components, in place of the class's module and name."""
    else:
        component_type = _OfRow(kind_of)
        component_version = _OfRow(version_of)
        component_provider_override = _OfRow(provider_of)
        component_config_schema = _OfRow(_schema)
    component_description: ClassVar[str | None] = None
    """In place of the first paragraph of the docstring."""
    component_label: ClassVar[str | None] = None
    """In place of the name of the class."""

    def dump_component(self) -> "ComponentModel":
        """The object as a component; state, such as a conversation, is not part of it.

        Raises:
            UsageError: Something of the object cannot be expressed; the message names it.
            TypeError: The class is local to a function.
        """
        from teamrun.core.component.writing import written

        return written(self)

    def _to_config(self) -> ConfigT:
        """The configuration, from which `_from_config` creates the same object."""
        from teamrun.core.component.writing import config_of

        return config_of(self)

    @classmethod
    def _from_config(cls, config: Any) -> Self:
        """The object of a configuration."""
        from teamrun.core.component.loading import made

        return made(cls, config)

    @classmethod
    def _from_config_past_version(cls, config: JsonObject, version: int) -> Self:
        """The object of a configuration of an earlier version."""
        raise NotImplementedError(f"{cls.__name__} does not read version {version}.")


class Component(Generic[ConfigT]):
    """A class of your own that can be written as a component.

    Derive from a seam and from this class, such as `class Echo(BaseChatAgent, Component[Config])`,
    set `component_config_schema = Config`, and write `_to_config` and `_from_config`. To load it,
    pass the class: `load_component(data, classes=[Echo])`.
    """

    if TYPE_CHECKING:
        component_config_schema: type[ConfigT]
        """The pydantic class of the configuration."""
