"""AutoGen component JSON, `{provider, component_type, version, config}`, taken apart.

`unwrap` opens one component; the readers of teams, agents and conditions take its `config`.
Models and tools are never created from a component. They are replaced by registered ones: a model
by the profile for the same model, a tool by the registered tool of the same name. What a component
brings along of its own, such as source, an address or a key, is ignored with a warning.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, cast

from teamrun.components.autogen.providers import KINDS, MODELS, UNSUPPORTED, Kind, Known
from teamrun.components.definitions.agents import INLINE_TOOLS, ToolOfAgent
from teamrun.components.definitions.kinds import DELEGATES
from teamrun.components.definitions.table import load
from teamrun.components.reading.fields import as_list, as_object
from teamrun.components.reading.mentions import add_tool
from teamrun.components.reading.problems import Problems, did_you_mean, listed, pointer, shown
from teamrun.components.reading.scope import Scope
from teamrun.core.component.writing import MASK
from teamrun.json_types import JsonMapping, JsonObject
from teamrun.models.providers import PROVIDERS
from teamrun.validation import kind_of

__all__ = ["Component", "model_profile", "read_tools", "unwrap"]


_ENVELOPE: Final = frozenset(
    {
        *("provider", "component_type", "version", "component_version"),
        *("description", "label", "config"),
    }
)
"""The fields of a component."""

_MCP: Final = "autogen_ext.tools.mcp.McpWorkbench"

_USUAL: Final[JsonMapping] = {
    "add_name_prefixes": False,
    "include_name_in_message": True,
    "follow_redirects": True,
}
"""What AutoGen writes for every client of OpenAI or Ollama; to ignore it changes nothing."""


_PLACES: Final[Mapping[str, str]] = {
    "agent": "the 'participants' of a team",
    "condition": "the 'termination_condition' of a team",
    "model": "the 'model_client' of an agent in a team",
    "tool": "the 'tools' of an agent in a team",
    "workbench": "the 'workbench' of an agent in a team",
}
"""Where a component belongs that was sent in place of a team."""


_FIXED_NAMES: Final = {
    "autogen_ext.tools.code_execution.PythonCodeExecutionTool": "CodeExecutor",
}
"""The names that tools have whose components have none."""


class Component(NamedTuple):
    """An opened component."""

    provider: str
    type: str
    """The canonical type name."""
    config: JsonObject
    where: str
    """The pointer to `config`."""


def unwrap(raw: Any, where: str, kind: Kind, problems: Problems) -> Component | None:
    """Open a component of that kind; None: a problem was added."""
    source = as_object(raw, where, problems, what=f"a {kind} component")
    if source is None:
        return None
    provider = str(source.get("provider"))
    known = KINDS[kind].get(provider)
    if known is None:
        _note_provider(source.get("provider"), pointer(where, "provider"), kind, problems)
        return None
    _note_unread(source, where, problems)
    if not _version_is_known(source, known, where, problems):
        return None
    place = pointer(where, "config")
    config = as_object(source.get("config", {}), place, problems, what="'config'")
    return None if config is None else Component(provider, known.type, config, place)


def model_profile(raw: Any, where: str, scope: Scope, problems: Problems) -> str | None:
    """The profile that replaces a model component; None: a problem was added.

    The name of a profile is accepted in place of a component.
    """
    if scope.override is not None and raw is not None:
        return scope.override
    if isinstance(raw, str):
        scope.check_model(raw, where, problems)
        return raw
    if raw is None:
        detail = (
            "A model is needed: a model component, or the name of a model profile; registered:"
            f" {listed(scope.models)}."
        )
        problems.add(where, "invalid_definition", detail)
        return None
    source = as_object(raw, where, problems, what="a model component")
    if source is None:
        return None
    provider = str(source.get("provider"))
    if provider not in MODELS:
        _note_provider(source.get("provider"), pointer(where, "provider"), "model", problems)
        return None
    _note_unread(source, where, problems)
    place = pointer(where, "config")
    config = as_object(source.get("config", {}), place, problems, what="'config'")
    if config is None:
        return None
    model = config.get("model")
    types = [name for name, row in PROVIDERS.items() if provider in row.autogen]
    profile = scope.profile_of(model, types) if isinstance(model, str) else None
    if profile is None:
        subject = (
            "'model' is needed" if model is None else f"No model profile is for {shown(model)}"
        )
        detail = (
            f"{subject}; registered: {listed(scope.models)}. Write the name of a profile in place"
            " of the component, or register a profile for this model."
        )
        problems.add(pointer(place, "model"), "unknown_model", detail)
        return None
    for key in sorted(config.keys() - {"model", "model_info"}):
        if config[key] not in (None, "", MASK) and _USUAL.get(key) is not config[key]:
            detail = f"{key!r} is ignored: the model profile {profile!r} decides it."
            problems.warn(pointer(place, key), detail)
    return profile


class AgentTools(NamedTuple):
    """The tools of an agent component."""

    tools: list[ToolOfAgent]
    servers: list[JsonObject]
    """Fields of definitions of workbenches: MCP servers."""


def read_tools(config: JsonMapping, where: str, scope: Scope, problems: Problems) -> AgentTools:
    """The tools of an agent component, from `workbench` (version 2) or `tools` (version 1).

    The name of a registered tool is accepted in place of a tool or a workbench. An `McpWorkbench`
    is the registered server with its command or address.
    """
    reader = _ToolReader(scope, problems)
    reader.read(config.get("tools"), pointer(where, "tools"))
    bench = config.get("workbench")
    place = pointer(where, "workbench")
    if isinstance(bench, (list, tuple)):
        several = [
            (pointer(place, index), item) for index, item in enumerate(cast("list[Any]", bench))
        ]
    else:
        several = [] if bench is None else [(place, bench)]
    for at, item in several:
        reader.read_bench(item, at)
    return AgentTools(list(reader.tools.values()), list(reader.servers.values()))


class _ToolReader:
    """Collects the tools of an agent component."""

    def __init__(self, scope: Scope, problems: Problems) -> None:
        self._scope = scope
        self._problems = problems
        self.tools: dict[str, ToolOfAgent] = {}
        self.servers: dict[str, JsonObject] = {}

    def read(self, raw: Any, where: str) -> None:
        """A list of tools, or none."""
        if raw is None:
            return
        for index, item in enumerate(as_list(raw, where, self._problems, what="'tools'")):
            self._read(item, pointer(where, index))

    def read_bench(self, raw: Any, where: str) -> None:
        """A workbench, or the name of a tool."""
        if isinstance(raw, str):
            self._read(raw, where)
            return
        if isinstance(raw, dict) and cast("JsonObject", raw).get("provider") == _MCP:
            self._read_server(cast("JsonObject", raw), where)
            return
        bench = unwrap(raw, where, "workbench", self._problems)
        if bench is None:
            return
        if bench.config.get("tool_overrides"):
            place = pointer(bench.where, "tool_overrides")
            detail = "Overrides of tools are not taken; register the tool under the other name."
            self._problems.add(place, "component_json_not_supported", detail)
        self.read(bench.config.get("tools"), pointer(bench.where, "tools"))

    def _read_server(self, source: JsonObject, where: str) -> None:
        config: Any = source.get("config")
        config = cast("JsonObject", config) if isinstance(config, dict) else {}
        params: Any = config.get("server_params")
        name = self._scope.server_of(cast("JsonObject", params)) if params else None
        if name is None:
            detail = (
                f"{_MCP!r} is converted if an operator has registered a server with its command or"
                " address under 'mcp_servers'; otherwise write the names of registered tools"
                f" instead. {self._scope.known_servers}"
            )
            place = pointer(where, "provider")
            self._problems.add(place, "component_json_not_supported", detail)
            return
        place = pointer(where, "config")
        detail = f"The component is ignored: {shown(name)} is the registered server of it."
        self._problems.warn(place, detail)
        bench: JsonObject = {"server": name}
        if overrides := config.get("tool_overrides"):
            bench["tool_overrides"] = overrides
        self.servers[name] = bench

    def _read(self, raw: Any, where: str) -> None:
        if isinstance(raw, str):
            tool = _registered(raw, where, self._scope, self._problems)
        else:
            tool = _tool(raw, where, self._scope, self._problems)
        if isinstance(tool, str) and self.tools.get(tool) == tool:
            detail = f"The registered tool {shown(tool)} occurs twice; the agent has it once."
            self._problems.warn(where, detail)
        elif tool is not None:
            add_tool(self.tools, tool, where, self._problems)


def _tool(raw: Any, where: str, scope: Scope, problems: Problems) -> ToolOfAgent | None:
    """The registered tool that a component stands for, or an agent or a team as a tool.

    None: a problem was added.
    """
    if (name := _name_of_other(raw)) is not None:
        if name in scope.tools:
            detail = f"The component is ignored: {shown(name)} is the registered tool of that name."
            problems.warn(pointer(where, "config"), detail)
            return name
        detail = (
            f"{raw['provider']!r} is not converted; write the name of a registered tool instead, or"
            f" register one named {shown(name)}. Registered: {listed(scope.tools)}."
        )
        problems.add(pointer(where, "provider"), "component_json_not_supported", detail)
        return None
    tool = unwrap(raw, where, "tool", problems)
    if tool is None:
        return None
    if tool.type in DELEGATES:
        return load(DELEGATES[tool.type].read)(tool.type, tool.config, tool.where, scope, problems)
    name, place = tool.config.get("name"), pointer(tool.where, "source_code")
    if not isinstance(name, str):
        detail = f"'name' must be the name of a registered tool; registered: {listed(scope.tools)}."
        problems.add(pointer(tool.where, "name"), "unknown_tool", detail)
        return None
    source = tool.config.get("source_code")
    if source is not None and name not in scope.tools and INLINE_TOOLS in scope.tools:
        # Imported late: few components have source that may be executed.
        from teamrun.components.autogen.inline_tools import read_inline

        return read_inline(tool.config, tool.where, problems)
    if source is not None and name in scope.tools:
        detail = f"The source is ignored: {shown(name)} is the registered tool of that name."
        problems.warn(place, detail)
    return _registered(name, pointer(tool.where, "name"), scope, problems)


def _name_of_other(raw: Any) -> str | None:
    """The name of the tool that a component which is not converted stands for, if it has one."""
    source = cast("JsonObject", raw) if isinstance(raw, dict) else {}
    config: Any = source.get("config")
    # A provider that is no text may not be a key of a table.
    if str(source.get("provider")) not in UNSUPPORTED or not isinstance(config, dict):
        return None
    written = cast("JsonObject", config)
    inner: Any = written.get("tool")  # of an adapter of MCP
    name = cast("JsonObject", inner).get("name") if isinstance(inner, dict) else written.get("name")
    if name is None:
        name = _FIXED_NAMES.get(str(source.get("provider")))
    return name if isinstance(name, str) else None


def _registered(name: str, where: str, scope: Scope, problems: Problems) -> str | None:
    before = len(problems.found)
    scope.check_tool(name, where, problems)
    return name if len(problems.found) == before else None


def _version_is_known(source: JsonMapping, known: Known, where: str, problems: Problems) -> bool:
    for key in ("version", "component_version"):
        version = source.get(key)
        is_known = type(version) is int and 1 <= version <= known.version  # `true` equals 1
        if version is not None and not is_known:
            problems.add(
                pointer(where, key),
                "unknown_version",
                f"{key!r} is {shown(version)}; {known.type} is known up to version"
                f" {known.version}.",
            )
            return False
    return True


def _note_unread(source: JsonMapping, where: str, problems: Problems) -> None:
    for key in sorted(source.keys() - _ENVELOPE):
        problems.warn(
            pointer(where, key), f"{shown(key)} is ignored: a component has no such field."
        )


def _note_provider(provider: object, where: str, kind: Kind, problems: Problems) -> None:
    if not isinstance(provider, str):
        problems.add(
            where, "unknown_provider", f"'provider' must be a text, not {kind_of(provider)}."
        )
        return
    instead = UNSUPPORTED.get(provider)
    if instead is not None:
        detail = f"{provider!r} is not converted; write {instead} instead."
        problems.add(where, "component_json_not_supported", detail)
        return
    other = next((each for each in KINDS if provider in KINDS[each]), None)
    if other is None:
        hint = did_you_mean(provider, KINDS[kind]) or f" Known: {listed(KINDS[kind])}."
        detail = f"{shown(provider)} is no known {kind} provider.{hint}"
    else:
        place = _PLACES.get(other, "")
        remedy = f"put it into {place}" if kind == "team" and place else f"such as {_first(kind)}"
        detail = f"{shown(provider)} is of the kind {other!r}; a {kind!r} is needed here: {remedy}."
    problems.add(where, "unknown_provider", detail)


def _first(kind: Kind) -> str:
    return repr(next(iter(KINDS[kind])))
