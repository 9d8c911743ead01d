"""Functions that definitions bring along as source: read, refused, and executed in the sandbox."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.runs import Cluster
from tests.support.services import bubblewrap

from teamrun.code import CodeExecutionTool, LocalCommandLineCodeExecutor, SandboxCodeExecutor
from teamrun.code.inline import InlineTool, signature
from teamrun.components.registry import Registry
from teamrun.components.team_file import load_registry
from teamrun.errors import DefinitionError, ToolError
from teamrun.runs.engine.finish import Finish
from teamrun.testing import ScriptedModel

SOURCE = """
async def area(width: Annotated[float, "In metres."], unit: Literal["m2", "ft2"] = "m2") -> str:
    print("noise")
    return f"{math.floor(width) ** 2} {unit}"
"""
IMPORTS: list[Any] = [
    "math",
    {"name": "json", "alias": "j"},
    {"module": "typing", "imports": ["Annotated", {"name": "Literal", "alias": "Literal"}]},
]


def function_tool(**config: Any) -> dict[str, Any]:
    given = {"source_code": SOURCE, "name": "area", "description": "An area."}
    given |= {"global_imports": IMPORTS, "has_cancellation_support": False}
    provider = "autogen_core.tools.FunctionTool"
    return {"provider": provider, "component_type": "tool", "config": given | config}


def component(*tools: dict[str, Any]) -> dict[str, Any]:
    """A team of AutoGen with these tools."""
    agent = {"name": "a", "model_client": "m", "tools": [*tools], "description": "d"}
    return {
        "provider": "autogen_agentchat.teams.RoundRobinGroupChat",
        "component_type": "team",
        "config": {
            "participants": [
                {
                    "provider": "autogen_agentchat.agents.AssistantAgent",
                    "component_type": "agent",
                    "version": 1,
                    "config": agent,
                }
            ],
            "max_turns": 1,
        },
    }


def registry(*steps: Any, executor: Any = None) -> Registry:
    runner = CodeExecutionTool(executor or SandboxCodeExecutor(), name="inline_tools")
    return Registry.of(teams={}, models={"m": ScriptedModel({"a": [*steps]})}, tools=[runner])


def test_the_schema_is_read_from_the_source() -> None:
    read = signature(
        "import x\nasync def f(a: 'str', b: list[int] | None, *, c: Optional[dict] = None,"
        " d: typing.Union[int, float] = 1, e: Any = object()): pass\ndef g(): pass"
    )

    assert read.name == "f"
    assert read.parameters == {
        "type": "object",
        "properties": {
            "a": {"type": "string"},
            "b": {"anyOf": [{"type": "array", "items": {"type": "integer"}}, {"type": "null"}]},
            "c": {"anyOf": [{"type": "object"}, {"type": "null"}], "default": None},
            "d": {"anyOf": [{"type": "integer"}, {"type": "number"}], "default": 1},
            "e": {},
        },
        "required": ["a", "b"],
        "additionalProperties": False,
    }


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def f(", "not valid Python"),
        ("x = 1", "defines no function"),
        ("def f(a): pass", "'a' has no annotation"),
        ("def f(a: Frame): pass", "type 'Frame' of 'a' is not known"),
        ("def f(a: 'list['): pass", "annotation of 'a' is not valid"),
        ("def f(*a: int): pass", "without \\*"),
        ("def f(a: int, /): pass", "named parameters"),
        ("def f(a: " + "[" * 5000 + "): pass", "not valid Python"),
    ],
    ids=["syntax", "none", "bare", "unknown", "text", "star", "positional", "deep"],
)
def test_a_source_that_cannot_be_a_tool_is_refused(source: str, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        signature(source)


async def test_a_function_is_called_in_the_sandbox() -> None:
    bubblewrap()
    source = "from typing import *\nimport math\n" + SOURCE
    tool = InlineTool(source, name="area", description="d", executor=SandboxCodeExecutor())

    assert await tool.run_json({"width": 3.5}) == "9 m2"
    with pytest.raises(ToolError, match=r"TypeError: .*'height'"):
        await tool.run_json({"height": 1})


async def test_what_a_function_returns_and_how_it_fails_are_its_result() -> None:
    bubblewrap()
    source = "def f(how: str) -> object:\n    import os\n    " + (
        "if how == 'exit': os._exit(0)\n    return {'a': [1, None], 'b': 2.5, 'c': {1: how}}"
    )
    tool = InlineTool(source, name="f", description="d", executor=SandboxCodeExecutor())

    value = await tool.run_json({"how": "'{x}' \\n"})

    assert value == {"a": [1, None], "b": 2.5, "c": {"1": "'{x}' \\n"}}
    with pytest.raises(ToolError, match="it returned nothing"):
        await tool.run_json({"how": "exit"})


async def test_a_run_of_a_component_executes_its_function_in_the_sandbox() -> None:
    bubblewrap()
    call = {"tool_calls": [{"name": "area", "arguments": {"width": 2, "unit": "ft2"}}]}
    known = registry(call)
    cluster = Cluster({}, team={}, registry=known)
    ref = await cluster.submit(team=None, team_spec=component(function_tool()))

    assert await cluster.worker().execute(ref) is Finish.ENDED

    result = await cluster.service.result(ref.tenant, ref.run_id)
    assert result.output is not None
    assert result.output.text == "4 ft2"
    assert [*known.resolve(team_spec=component(function_tool())).tools] == ["inline_tools"]


NATIVE = {
    "type": "round_robin_group_chat",
    "max_turns": 1,
    "agents": [
        {
            "name": "a",
            "model": "m",
            "inline_tools": [
                {"name": "f", "description": "d", "source": "def f(a: int) -> int: return a"}
            ],
        }
    ],
}


def test_source_is_refused_unless_the_operator_has_turned_the_sandbox_on() -> None:
    without = Registry.of(teams={}, models={"m": ScriptedModel([])})
    for spec, code in (
        (NATIVE, "source_not_allowed"),
        (component(function_tool()), "unknown_tool"),
    ):
        with pytest.raises(DefinitionError) as raised:
            without.resolve(team_spec=spec)
        assert [each["code"] for each in raised.value.data["problems"]] == [code]

    assert registry().resolve(team_spec=NATIVE).name


def test_source_is_not_executed_by_a_tool_without_a_sandbox() -> None:
    known = registry(executor=LocalCommandLineCodeExecutor())
    resolved = known.resolve(team_spec=NATIVE)

    from teamrun.components.building.teams import TeamBuilder
    from teamrun.components.building.wiring import PlainWiring

    with pytest.raises(DefinitionError, match="has no sandbox") as raised:
        TeamBuilder(known, PlainWiring()).team(resolved.definition, "team")
    assert raised.value.code == "source_not_allowed"


@pytest.mark.parametrize(
    ("changes", "place", "expected"),
    [
        ({"source_code": "x = 1"}, "source_code", "defines no function"),
        ({"has_cancellation_support": True}, "source_code", "cancellation token"),
        ({"global_imports": ["os; x"]}, "global_imports", "An import is"),
        ({"global_imports": [{"module": "os"}]}, "global_imports", "An import is"),
        ({"name": "no name"}, "source_code", "cannot be executed"),
    ],
    ids=["no_function", "token", "code_as_import", "no_names", "name"],
)
def test_a_component_whose_function_cannot_be_executed_is_refused(
    changes: dict[str, Any], place: str, expected: str
) -> None:
    with pytest.raises(DefinitionError, match=expected) as raised:
        registry().resolve(team_spec=component(function_tool(**changes)))

    assert raised.value.data["problems"][0]["pointer"].endswith(f"/tools/0/config/{place}")


def test_two_tools_of_one_name_are_refused() -> None:
    with pytest.raises(DefinitionError, match="occurs twice"):
        registry().resolve(team_spec=component(function_tool(), function_tool()))


@pytest.mark.parametrize("value", ["sandbox", "local"])
def test_the_operators_file_turns_the_sandbox_on(value: str, tmp_path: Path) -> None:
    path = tmp_path / "teamrun.yaml"
    content: dict[str, Any] = {
        "models": {"m": {"type": "scripted", "script": []}},
        "inline_tools": value,
    }
    path.write_text(yaml.safe_dump(content), encoding="utf-8")

    if value == "sandbox":
        known = load_registry(path, environ={})
        assert known.resolve(team_spec=NATIVE).tools.keys() == {"inline_tools"}
    else:
        with pytest.raises(DefinitionError, match="'inline_tools' takes 'sandbox'"):
            load_registry(path, environ={})
