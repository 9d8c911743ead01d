"""Objects created from components.

Only classes of the table and those that the program passes are created. The source of a tool is
never executed, and the key of the environment is never sent to an address of a component.
"""

import warnings
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from difflib import get_close_matches
from typing import Any, Final, NamedTuple, cast

from pydantic import BaseModel, TypeAdapter, ValidationError

from teamrun.core.checks import checked_list, wrong_type
from teamrun.core.component.base import ComponentWarning
from teamrun.core.component.model import ComponentModel
from teamrun.core.component.table import BY_PROVIDER, Field, Row, inherited_row, load
from teamrun.core.component.writing import provider_name
from teamrun.errors import DefinitionError, MissingPackage, UsageError
from teamrun.json_types import JsonMapping, JsonObject
from teamrun.validation import misfits

__all__ = ["Given", "combined", "given", "loaded", "made", "part", "unlimited"]

_MODELS = {"model", "replay_chat_completion_client", "chat_completion_cache"}
_DEEPEST = 32


class Given(NamedTuple):
    """What the program passes, in place of what components cannot bring along."""

    tools: Mapping[str, Any] = {}
    """Tools by name."""
    model_client: Any = None
    """One client for all models, or clients by the names of models."""
    classes: Mapping[str, type] = {}
    """Component classes by the names that components give them; others by their own."""
    input_func: Any = None

    @classmethod
    def of(
        cls,
        *,
        tools: Iterable[Any] | None,
        model_client: Any,
        classes: Iterable[type] | None,
        input_func: Any,
    ) -> "Given":
        """The arguments of `load_component`; those of the component around this one remain."""
        outer = _given.get()
        as_tools: Callable[[Any], list[Any]] = load("teamrun.agents.toolset:as_tools")
        named = {tool.name: tool for tool in as_tools(tools)} if tools is not None else {}
        known = {_name_of(each): each for each in _checked_classes(classes)}
        return cls(
            {**outer.tools, **named},
            outer.model_client if model_client is None else model_client,
            {**outer.classes, **known},
            outer.input_func if input_func is None else input_func,
        )

    def client(self, config: JsonMapping) -> Any:
        """The client in place of a model's component; None: it is created."""
        clients: Any = self.model_client
        if not isinstance(clients, Mapping):
            return clients
        clients = cast("Mapping[str, Any]", clients)
        return clients.get(str(config.get("model")))


_NOTHING: Final = Given()
_given: ContextVar[Given] = ContextVar("teamrun_component_given", default=_NOTHING)
_where: ContextVar[str] = ContextVar("teamrun_component_where", default="")


def given() -> Given:
    """What the program passed to the `load_component` that is under way."""
    return _given.get()


def loaded(
    model: ComponentModel | JsonMapping, passed: Given, *, caller: type, expected: type
) -> Any:
    """The object of a component.

    Args:
        model: The component.
        passed: What the program passes.
        caller: The class on which `load_component` was called; its own component needs no other
            permission.
        expected: The class that the object must have.

    Raises:
        DefinitionError: The component is invalid, or needs something that was not passed.
        TypeError: The object is of another class.
    """
    own = {provider_name(caller): caller}
    with _set(_given, passed._replace(classes={**own, **passed.classes})):
        made_object = part(model)
    if not isinstance(made_object, expected):
        raise TypeError(
            f"The component {_opened(model).provider!r} is a {type(made_object).__name__}, not a "
            f"{expected.__name__}."
        )
    return made_object


def part(data: Any, *steps: str | int) -> Any:
    """The object of a component inside of another one.

    Args:
        data: The component.
        steps: Where it is, from the component around it.

    Raises:
        DefinitionError: The component is invalid.
    """
    where = _where.get() + "".join(f"/{step}" for step in steps)
    if where.count("/") > _DEEPEST * 3:
        raise DefinitionError("Components are nested too deeply.", pointer=where)
    with _set(_where, where):
        return _object(_opened(data))


def made(cls: type, config: BaseModel) -> Any:
    """The object of a configuration of a class that has a row, or whose base class has one.

    Raises:
        UsageError: The class has no row.
        DefinitionError: The configuration is invalid.
    """
    row = inherited_row(cls)
    if row is None:
        raise UsageError(f"{cls.__name__} needs '_from_config' to be read from a component.")
    given_fields = {
        name: value
        for name in config.model_fields_set
        if (value := getattr(config, name)) is not None
    }
    arguments = {
        name: _argument(value, row.fields[name], name) for name, value in given_fields.items()
    }
    try:
        return load(row.make)(cls, arguments) if row.make else cls(**arguments)
    except (DefinitionError, MissingPackage):
        raise
    except (UsageError, ValueError, TypeError) as error:
        raise DefinitionError(
            f"The configuration of {cls.__name__} is invalid: {error}", pointer=_config()
        ) from error


def combined(cls: type, arguments: JsonMapping) -> Any:
    """A condition that consists of others."""
    return cls(*arguments.get("conditions", ()))


def unlimited(cls: type, arguments: JsonMapping) -> Any:
    """A team that has a limit of turns by default; a component without one means none."""
    return cls(**{"max_turns": None, **arguments})


def _object(model: ComponentModel) -> Any:
    passed, row = _given.get(), BY_PROVIDER.get(model.provider)
    kind = row.type if row else model.component_type
    if kind == "tool" and (tool := passed.tools.get(str(model.config.get("name")))) is not None:
        _note_source(tool, model.config)
        return tool
    if kind in _MODELS and (client := passed.client(model.config)) is not None:
        return client
    cls: Any = passed.classes.get(model.provider) or _class(model, row)
    version = _version(model, cls)
    if version is not None and not row:
        try:
            return cls._from_config_past_version(model.config, version)
        except NotImplementedError as error:
            raise DefinitionError(
                f"{cls.__name__} does not read version {version} of its configuration; write "
                "'_from_config_past_version'.",
                pointer=f"{_where.get()}/component_version",
                code="unknown_version",
            ) from error
    schema: type[BaseModel] = cls.component_config_schema
    try:
        config = schema.model_validate(model.config)
    except ValidationError as error:
        raise _invalid(error, model.config, cls) from error
    return cls._from_config(config)


_PASSED: Final[Mapping[str, str]] = {
    "tool": "Pass a tool of the same name in 'tools'.",
    "model": "Pass 'model_client'.",
    "workbench": "Write components of tools in 'tools', and pass tools of their names in 'tools'.",
}


def _class(model: ComponentModel, row: Row | None) -> Any:
    if row is not None:
        return load(row.cls)
    provider, kind = model.provider, model.component_type or ""
    unsupported: Mapping[str, str] = load("teamrun.components.autogen.providers:UNSUPPORTED")
    if provider in unsupported:
        remedy = _PASSED.get(kind) or f"Write {unsupported[provider]} instead."
        raise DefinitionError(
            f"AutoGen's {provider!r} is not here. {remedy}",
            pointer=f"{_where.get()}/provider",
            code="component_json_not_supported",
        )
    close = get_close_matches(provider, BY_PROVIDER, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise DefinitionError(
        f"There is no component {provider!r} here.{hint} For a class of your own, pass "
        f"classes=[{provider.rpartition('.')[2] or provider}]; nothing is imported because a "
        "component names it.",
        pointer=f"{_where.get()}/provider",
        code="unknown_provider",
    )


def _version(model: ComponentModel, cls: Any) -> int | None:
    """The earlier version of a configuration; None: it is the current one."""
    version = model.component_version or model.version
    current: int = cls.component_version
    if version is None or version == current:
        return None
    if not 1 <= version < current:
        raise DefinitionError(
            f"The component's version is {version}; {cls.__name__} is known up to version "
            f"{current}.",
            pointer=f"{_where.get()}/component_version",
            code="unknown_version",
        )
    return version


def _argument(value: Any, field: Field, name: str) -> Any:
    if field.holds == "part":
        return part(value, "config", name)
    if field.holds == "parts":
        several = cast("list[Any]", value if isinstance(value, list | tuple) else [value])
        return [part(item, "config", name, index) for index, item in enumerate(several)]
    if not field.shape:
        return value
    return _shaped(value, load(field.shape), name, whole=field.holds == "object")


def _shaped(value: Any, shape: Any, name: str, *, whole: bool) -> Any:
    adapter: TypeAdapter[Any] = TypeAdapter(shape)
    try:
        if whole:
            return adapter.validate_python(value)
        if isinstance(value, Mapping):
            items = cast("Mapping[str, Any]", value).items()
            return {key: adapter.validate_python(each) for key, each in items}
        if isinstance(value, str) or not isinstance(value, Iterable):
            raise DefinitionError(f"{name!r} must be a list.", pointer=f"{_config()}/{name}")
        several = cast("Iterable[Any]", value)
        return [
            each if isinstance(each, str) else adapter.validate_python(each) for each in several
        ]
    except ValidationError as error:
        found = misfits(error, None)[0]
        raise DefinitionError(found.sentence(repr(name)), pointer=f"{_config()}/{name}") from error


def _note_source(tool: Any, config: JsonMapping) -> None:
    source = config.get("source_code")
    if source is None:
        return
    own: JsonObject = load("teamrun.tools.component:source_of")(tool)
    if own.get("source_code") != source:
        warnings.warn(
            f"The tool {tool.name!r} is the one that was passed; the source in the component, "
            "which differs from it, is not used.",
            ComponentWarning,
            stacklevel=2,
        )


def _opened(model: Any) -> ComponentModel:
    if isinstance(model, ComponentModel):
        return model
    if not isinstance(model, Mapping):
        raise DefinitionError(
            f"A component must be an object with 'provider' and 'config', not {model!r:.40}.",
            pointer=_where.get(),
        )
    try:
        return ComponentModel.model_validate(dict(cast("JsonMapping", model)))
    except ValidationError as error:
        found = misfits(error, cast("JsonMapping", model))[0]
        path = "".join(f"/{step}" for step in found.path)
        sentence = found.sentence(repr(str(found.path[0])) if found.path else "A component")
        raise DefinitionError(
            f"A component is invalid: {sentence}", pointer=_where.get() + path
        ) from error


def _invalid(error: ValidationError, config: JsonMapping, cls: Any) -> DefinitionError:
    found = misfits(error, config)[0]
    path = "".join(f"/{step}" for step in found.path)
    name = str(found.path[-1]) if found.path else cls.__name__
    hint = ""
    if found.kind == "extra_forbidden":
        close = get_close_matches(name, cls.component_config_schema.model_fields, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else " It cannot be expressed here."
    return DefinitionError(
        f"The configuration of {cls.__name__} is invalid: {found.sentence(repr(name))}{hint}",
        pointer=_config() + path,
        code="unknown_field" if found.kind == "extra_forbidden" else "invalid_definition",
    )


def _config() -> str:
    return f"{_where.get()}/config"


def _name_of(cls: type) -> str:
    return provider_name(cls) if hasattr(cls, "load_component") else cls.__name__


def _checked_classes(classes: Iterable[type] | None) -> list[type]:
    several = checked_list(classes, parameter="classes", expected="a list of classes")
    for each in several:
        if not isinstance(each, type):
            raise wrong_type("classes", "a list of classes", each)
    return several


@contextmanager
def _set(variable: ContextVar[Any], value: Any) -> Generator[None]:
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)
