"""Executors as tools of runs: files, replay, and the operator's file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.runs import TENANT, Cluster, solo
from tests.support.services import bubblewrap

from teamrun.code import CodeExecutionTool, CodeExecutor, Execution, LocalCommandLineCodeExecutor
from teamrun.code.sandbox import machine
from teamrun.code.sandbox.executor import SandboxCodeExecutor
from teamrun.components.team_file import load_registry
from teamrun.core.cancellation import CancellationToken
from teamrun.errors import DefinitionError, ToolError
from teamrun.messages.code import CodeBlock, CodeResult
from teamrun.runs.engine.finish import Finish
from teamrun.tools import MemoryArtifacts, ToolContext


class Writer(CodeExecutor):
    """Writes the files that its code names, and keeps what it was given."""

    is_isolated = True

    def __init__(self) -> None:
        self.given: list[Mapping[str, bytes]] = []

    async def execute_code_blocks(
        self,
        code_blocks: Sequence[CodeBlock],
        cancellation_token: CancellationToken | None = None,
    ) -> CodeResult:
        raise NotImplementedError

    async def execute(
        self,
        code_blocks: Sequence[CodeBlock],
        files: Mapping[str, bytes] | None = None,
        cancellation_token: CancellationToken | None = None,
        *,
        session: str = "",
    ) -> Execution:
        self.given.append(files or {})
        written = {path: path.encode("utf-8", "replace") for path in code_blocks[0].code.split()}
        return Execution(CodeResult(0, code_blocks[0].language), written)


async def test_files_become_artifacts_and_the_next_call_finds_them_in_their_places() -> None:
    writer, artifacts = Writer(), MemoryArtifacts()
    artifacts.write("input.csv", "1")
    context = ToolContext(artifacts=artifacts)
    tool = CodeExecutionTool(writer, language="python")
    paths = "a.txt out/b.png out_b.png _c --- /../d \udcff 0/1.txt"

    await tool.run_json({"code": paths}, context=context)
    await tool.run_json({"code": "out/b.png"}, context=context)

    places = {"input.csv", "a.txt", "out/b.png", "out_b.png", "_c", "---", "/../d", "?", "0/1.txt"}
    assert writer.given[0] == {"input.csv": b"1"}
    assert writer.given[1].keys() == places
    assert writer.given[1]["out/b.png"] == b"out/b.png"
    assert {"a.txt", "out_b.png", "c", "d", "0_1.txt"} <= set(artifacts.names())
    assert len(artifacts.names()) == len(places)


async def test_too_many_bytes_are_not_given_to_code() -> None:
    writer, artifacts = Writer(), MemoryArtifacts()
    for name in ("a", "b", "c"):
        artifacts.write(name, bytes(15 << 20))

    await CodeExecutionTool(writer).run_json(
        {"code_blocks": [{"code": "x", "language": "sh"}]},
        context=ToolContext(artifacts=artifacts),
    )

    assert [*writer.given[0]] == ["a", "b"]


async def test_a_tool_of_one_language_takes_code_and_blocks() -> None:
    tool = CodeExecutionTool(Writer(), language="python")
    blocks = {"code_blocks": [{"code": "x", "language": "sh"}]}

    assert tool.schema.get("parameters", {}).get("required") == ["code"]
    assert await tool.run_json({"code": "x"}) == CodeResult(0, "python")
    assert await tool.run_json(blocks) == CodeResult(0, "sh")
    with pytest.raises(ToolError, match="'code'"):
        await tool.run_json({"nothing": 1})


def test_only_code_without_effects_outside_is_executed_again_after_a_crash() -> None:
    assert CodeExecutionTool(SandboxCodeExecutor()).effects == "none"
    assert CodeExecutionTool(LocalCommandLineCodeExecutor()).effects == "write"


def code(text: str) -> dict[str, Any]:
    arguments = {"code_blocks": [{"code": text, "language": "python"}]}
    return {"tool_calls": [{"name": "run_code", "arguments": arguments}]}


async def test_a_run_records_executions_and_keeps_their_files_as_artifacts(
    clusters_are_closed: None,
) -> None:
    bubblewrap()
    script: dict[str, list[Any]] = {
        "a": [
            code("open('n.txt', 'w').write('1')"),
            code("open('m.txt', 'w').write(2 * open('n.txt').read())"),
            "DONE",
        ]
    }
    tool = CodeExecutionTool(SandboxCodeExecutor())
    cluster = Cluster(script, team=solo("run_code", max_tool_iterations=3), tools=[tool])
    ref = await cluster.submit()

    assert await cluster.worker().execute(ref) is Finish.ENDED

    kept = await cluster.service.artifacts(TENANT, ref.run_id)
    assert [(each.name, each.version, each.size) for each in kept] == [
        ("n.txt", 1, 1),
        ("m.txt", 1, 2),
    ]


def written(folder: Path, **tool: Any) -> Path:
    path = folder / "teamrun.yaml"
    content = {"version": 1, "tools": {"run_code": {"type": "code_execution", **tool}}}
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


async def test_the_operator_registers_a_sandbox(tmp_path: Path) -> None:
    bubblewrap()
    path = written(
        tmp_path,
        memory_mb=128,
        timeout=5,
        approval=True,
        language="python",
        session="stateful",
        on_lost="fail",
    )

    tool = load_registry(path, environ={}).tool("run_code")

    assert isinstance(tool, CodeExecutionTool)
    assert isinstance(tool.executor, SandboxCodeExecutor)
    assert (tool.executor.limits.memory_mb, tool.executor.limits.timeout) == (128, 5)
    assert tool.needs_approval
    assert (tool.session, tool.on_lost) == ("stateful", "fail")
    assert await tool.run_json({"code": "x = 1"}) == CodeResult(0, "")
    assert await tool.run_json({"code": "x"}) == CodeResult(0, "1\n")
    await tool.executor.stop()


def test_the_operator_registers_a_local_executor_in_so_many_words(tmp_path: Path) -> None:
    path = written(tmp_path, executor="local", unsandboxed=True, work_dir="work", on_unknown="ask")

    tool = load_registry(path, environ={}).tool("run_code")

    assert isinstance(tool, CodeExecutionTool)
    assert isinstance(tool.executor, LocalCommandLineCodeExecutor)
    assert tool.executor.work_dir == tmp_path / "work"
    assert tool.on_unknown == "ask"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"executor": "local"}, "add 'unsandboxed: true'"),
        ({"executor": "kernel"}, "'sandbox' or 'local'"),
        ({"unsandboxed": True}, "'unsandboxed' is for 'executor: local'"),
        ({"work_dir": "w"}, "'work_dir' is for 'executor: local'"),
        ({"executor": "local", "unsandboxed": True, "memory_mb": 64}, "is for 'executor: sandbox'"),
        ({"on_unknown": "ask"}, "code in a sandbox has no effect outside"),
        ({"executor": "local", "unsandboxed": True, "session": "stateful"}, "'session: stateful'"),
        ({"on_lost": "fail"}, "'on_lost' is for 'session: stateful'"),
        ({"memory_mb": 1}, "64"),
        ({"timeout": 0}, "'timeout'"),
        ({"python": "python3"}, "'python'"),
        ({"network": True}, "'network'"),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value),
)
def test_a_wrong_registration_is_refused_with_its_remedy(
    options: dict[str, Any], expected: str, tmp_path: Path
) -> None:
    with pytest.raises(DefinitionError, match=expected) as raised:
        load_registry(written(tmp_path, **options), environ={})

    assert all(
        each["pointer"].startswith("/tools/run_code") for each in raised.value.data["problems"]
    )


def test_a_machine_without_a_sandbox_is_refused_when_its_tools_are_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    registry = load_registry(written(tmp_path), environ={})
    for cached in (machine.bubblewrap, machine.check_machine):
        cached.cache_clear()
    try:
        with pytest.raises(DefinitionError, match="apt-get install bubblewrap") as raised:
            registry.preload()
    finally:
        machine.bubblewrap.cache_clear()

    assert raised.value.pointer == "/tools/run_code"
