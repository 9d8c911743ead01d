"""Agents that execute code, read in both forms.

Untrusted input never chooses how code is executed: it names a tool that the operator registered.
"""

from collections.abc import Mapping
from typing import Any, Final

from teamrun.components.autogen.reader import DefinitionReader
from teamrun.components.definitions.code_executor import CodeExecutorDefinition
from teamrun.components.definitions.kinds import AGENTS
from teamrun.components.reading.fields import Fields, construct, read_fields
from teamrun.components.reading.problems import Problems, listed
from teamrun.components.reading.scope import Scope
from teamrun.json_types import JsonMapping, JsonObject

__all__ = ["component_code_executor", "read_code_executor"]

_USUAL: Final = "run_code"
"""The tool that stands for the executor of a component: the usual name of a `CodeExecutionTool`."""
_SAME: Final = (
    *("name", "code_executor", "description", "system_message", "sources", "model_context"),
    *("supported_languages", "model_client_stream", "max_retries_on_error"),
)
_COMPONENT: Final[Mapping[str, str]] = {name: name for name in _SAME} | {"model_client": "model"}


def read_code_executor(
    source: JsonMapping, where: str, scope: Scope, problems: Problems, *, name: str | None
) -> CodeExecutorDefinition | None:
    """An agent that executes code, as people write it."""
    known = AGENTS["code_executor_agent"].fields
    fields = read_fields(source, where, known, problems, what="a code executor agent")
    values: JsonObject = {**fields.values, "type": "code_executor_agent"}
    if name is not None:
        values.setdefault("name", name)
    return _read(fields, values, scope, problems)


def component_code_executor(
    config: JsonMapping, where: str, scope: Scope, problems: Problems
) -> CodeExecutorDefinition | None:
    """An agent that executes code, as AutoGen writes it."""
    fields = read_fields(config, where, _COMPONENT, problems, what="the agent")
    values: JsonObject = {**fields.values, "type": "code_executor_agent"}
    # AutoGen omits fields that are None; there, None means no system message.
    values.setdefault("system_message", "")
    if values.get("max_retries_on_error") == 0:
        del values["max_retries_on_error"]
    place, executor = fields.place("code_executor"), values.get("code_executor")
    if executor is not None and not isinstance(executor, str):
        values["code_executor"] = _USUAL
        if _USUAL in scope.tools:
            detail = f"The component is ignored: the registered tool {_USUAL!r} executes the code."
            problems.warn(place, detail)
        else:
            detail = (
                f"Code is executed by a tool that the operator registered, named {_USUAL!r} or "
                f"written here by its name; registered: {listed(scope.tools)}."
            )
            problems.add(place, "component_json_not_supported", detail)
    return _read(fields, values, scope, problems)


def _read(
    fields: Fields, values: JsonObject, scope: Scope, problems: Problems
) -> CodeExecutorDefinition | None:
    before = len(problems.found)
    reader = DefinitionReader(scope, problems)
    if values.get("model") is not None:
        spelled = fields.spelled.get("model", "model")
        values["model"] = reader.model(values["model"], fields.place("model"), spelled)
    scope.check_tool(values.get("code_executor"), fields.place("code_executor"), problems)
    if values.get("model_context") is not None:
        place = fields.place("model_context")
        values["model_context"] = reader.context(values["model_context"], place)
    given: dict[str, Any] = {name: value for name, value in values.items() if value is not None}
    made = construct(CodeExecutorDefinition, fields, given, problems)
    return made if len(problems.found) == before else None
