"""An exception of any class out of any call is the recorded outcome of that call."""

import asyncio
import builtins
import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from tests.support.examples import thinned
from tests.support.foreign import FreeModel, Speaker, answer
from tests.support.runs import TENANT, Cluster, solo
from tests.unit.runs.test_recorded import difference

from teamrun.components.registry import Registry
from teamrun.core.refs import RunRef
from teamrun.errors import ModelError, ToolError
from teamrun.messages.llm import CreateResult, LLMMessage
from teamrun.runs.engine.finish import Finish
from teamrun.runs.log.entries import CallRecord, calls_of
from teamrun.runs.service.resources import Run
from teamrun.tools.base import Tool
from teamrun.tools.function import FunctionTool


class Custom(BaseException):
    pass


class Mute(Exception):
    def __str__(self) -> str:
        raise ValueError("no words")


class Rude(BaseException):
    def __str__(self) -> str:
        raise SystemExit(4)


class Odd(ModelError):
    """Attributes of other types than the base class has."""

    code: Any = 5

    def __init__(self) -> None:
        super().__init__("odd")
        self.retryable: Any = None
        self.status_code: Any = "high"


SPECIAL: dict[str, Callable[[], BaseException]] = {
    "BaseExceptionGroup": lambda: BaseExceptionGroup("all", [SystemExit(1)]),
    "ExceptionGroup": lambda: ExceptionGroup("all", [ValueError()]),
    "UnicodeEncodeError": lambda: UnicodeEncodeError("utf-8", "\ud83d", 0, 1, "no"),
    "UnicodeDecodeError": lambda: UnicodeDecodeError("utf-8", b"\xff", 0, 1, "no"),
    "UnicodeTranslateError": lambda: UnicodeTranslateError("\ud83d", 0, 1, "no"),
}


def builtin() -> dict[str, Callable[[], BaseException]]:
    """Every exception class of Python; of the warnings, their base."""
    return {
        name: SPECIAL.get(name, kind)
        for name, kind in vars(builtins).items()
        if isinstance(kind, type)
        and issubclass(kind, BaseException)
        and kind.__base__ is not Warning
    }


RAISED: dict[str, Callable[[], BaseException]] = {
    **builtin(),
    "CancelledError": asyncio.CancelledError,
    "Custom": Custom,
    "Mute": Mute,
    "Rude": Rude,
    "Odd": Odd,
    "ModelError": lambda: ModelError("no"),
    "ToolError": lambda: ToolError("no"),
    "group": lambda: BaseExceptionGroup("all", [KeyboardInterrupt(), GeneratorExit()]),
}

MADE: list[str] = []


@pytest.fixture(autouse=True)
def nothing_was_made() -> None:
    MADE.clear()


def fail(name: str) -> Any:
    MADE.append(name)
    raise RAISED[name]()


def tools(name: str) -> dict[str, Tool]:
    async def in_the_loop() -> str:
        return fail(name)

    def in_a_thread() -> str:
        return fail(name)

    async def in_a_task() -> str:
        async def inner() -> str:
            await asyncio.sleep(0)
            return "done"

        task = asyncio.ensure_future(inner())
        await task
        return fail(name)

    limit = timedelta(seconds=60)
    return {
        "async": FunctionTool(in_the_loop, name="use", description="x"),
        "async with a timeout": FunctionTool(
            in_the_loop, name="use", description="x", timeout=limit
        ),
        "write": FunctionTool(in_the_loop, name="use", description="x", effects="write"),
        "sync": FunctionTool(in_a_thread, name="use", description="x"),
        "sync with a timeout": FunctionTool(
            in_a_thread, name="use", description="x", timeout=limit
        ),
        "later": FunctionTool(in_a_task, name="use", description="x"),
    }


async def executed(cluster: Cluster) -> tuple[RunRef, Run, list[CallRecord]]:
    ref = await cluster.submit()
    worker = cluster.worker()
    assert await asyncio.wait_for(worker.execute(ref), 20) is Finish.ENDED
    await worker.close()
    run = await cluster.service.get(TENANT, ref.run_id)
    assert await difference(cluster, ref) is None
    calls = [call for entry in await cluster.entries(ref) for call in calls_of(entry.body)]
    return ref, run, [call for call in calls if call.error is not None]


@pytest.mark.parametrize(
    ("kind", "name"), thinned([(kind, name) for kind in tools("") for name in RAISED])
)
async def test_an_exception_of_a_tool_is_reported_to_the_model(name: str, kind: str) -> None:
    script: dict[str, list[Any]] = {
        "a": [{"tool_calls": [{"name": "use", "arguments": {}}]}, "DONE"]
    }
    team = solo("use", reflect_on_tool_use=True)
    cluster = Cluster(script, team=team, tools=[tools(name)[kind]])
    _, run, [failed] = await executed(cluster)
    assert (run.status, run.epoch, MADE) == ("completed", 1, [name])
    assert (failed.kind, failed.error and bool(failed.error.message)) == ("tool", True)


@pytest.mark.parametrize("kind", tools(""))
async def test_the_exit_text_of_a_tool_is_reported_and_logged(
    kind: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(RAISED, "exit", lambda: SystemExit("no such order"))
    script: dict[str, list[Any]] = {
        "a": [{"tool_calls": [{"name": "use", "arguments": {}}]}, "DONE"]
    }
    cluster = Cluster(
        script, team=solo("use", reflect_on_tool_use=True), tools=[tools("exit")[kind]]
    )

    _, _, [failed] = await executed(cluster)
    assert failed.error and failed.error.message == "no such order"
    [logged] = [record for record in caplog.records if record.exc_info]
    assert "in fail" in logging.Formatter().format(logged)


class Failing(FreeModel):
    """Raises before, or in the middle of, its answer."""

    def __init__(self, name: str) -> None:
        super().__init__(lambda messages: fail(name))
        self._name = name

    async def create_stream(
        self, messages: Sequence[LLMMessage], **options: Any
    ) -> AsyncGenerator[str | CreateResult, None]:
        self.asked += 1
        yield "some "
        fail(self._name)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("name", RAISED)
async def test_an_exception_of_a_model_fails_the_run_at_once(name: str, streamed: bool) -> None:
    model = Failing(name)
    registry = Registry.of(teams={"team": solo(model_client_stream=streamed)}, models={"m": model})
    _, run, [failed] = await executed(Cluster({}, team={}, registry=registry))
    assert (run.status, run.epoch, MADE) == ("failed", 1, [name])
    assert (failed.kind, run.usage.model_calls) == ("model", 1)
    assert run.error is not None
    assert run.error.message


class Falling(Speaker):
    """Raises in its turn what `falls` names, itself or through its model."""

    falls = ""

    async def on_messages(self, *args: Any, **options: Any) -> Any:
        if Falling.falls:
            fail(Falling.falls)
        return await super().on_messages(*args, **options)


@pytest.mark.parametrize("where", ["agent", "model"])
@pytest.mark.parametrize("name", RAISED)
async def test_an_exception_of_a_custom_agent_or_its_model_fails_the_run_at_once(
    name: str, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Falling, "falls", name if where == "agent" else "")
    team = {
        "type": "round_robin_group_chat",
        "participants": [{"type": "custom_agent", "name": "s", "agent": "x", "model": "m"}],
        "max_turns": 1,
    }
    model = Failing(name)
    registry = Registry.of(teams={"team": team}, models={"m": model}, agents={"x": Falling})
    _, run, failed = await executed(Cluster({}, team={}, registry=registry))
    assert (run.status, run.epoch, MADE) == ("failed", 1, [name])
    kinds = ["agent"] if where == "agent" else ["model", "agent"]
    assert [call.kind for call in failed] == kinds


async def test_a_cancelled_task_of_a_tool_is_the_tools_failure_and_not_the_runs_end() -> None:
    async def use() -> str:
        task = asyncio.ensure_future(asyncio.sleep(60))
        task.cancel()
        await task
        return "never"

    script: dict[str, list[Any]] = {
        "a": [{"tool_calls": [{"name": "use", "arguments": {}}]}, "DONE"]
    }
    team = solo("use", reflect_on_tool_use=True)
    cluster = Cluster(script, team=team, tools=[FunctionTool(use, description="x")])
    _, run, [failed] = await executed(cluster)
    assert run.status == "completed"
    assert failed.error is not None
    assert failed.error.type == "CancelledError"


async def test_an_agent_class_may_give_up_on_its_own_model() -> None:
    class Impatient(Speaker):
        async def on_messages(self, *args: Any, **options: Any) -> Any:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(super().on_messages(*args, **options), 0.01)
            return await super().on_messages(*args, **options)

    class Slow(FreeModel):
        async def create(self, messages: Sequence[LLMMessage], **options: Any) -> CreateResult:
            if not self.asked:
                self.asked += 1
                await asyncio.Event().wait()
            return await super().create(messages, **options)

    team = {
        "type": "round_robin_group_chat",
        "participants": [{"type": "custom_agent", "name": "s", "agent": "x", "model": "m"}],
        "max_turns": 1,
    }
    model = Slow(lambda messages: answer("in time"))
    registry = Registry.of(teams={"team": team}, models={"m": model}, agents={"x": Impatient})
    _, run, failed = await executed(Cluster({}, team={}, registry=registry))
    assert run.output is not None
    assert (run.status, run.output.text, failed) == ("completed", "in time", [])


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, Custom, GeneratorExit])
async def test_an_exception_of_run_code_ends_the_run_and_not_the_loop(
    kind: type[BaseException],
) -> None:
    async def program(journal: Any) -> Any:
        await asyncio.sleep(0)
        raise kind("out")

    def make(spec: Any) -> Any:
        return program

    cluster = Cluster({}, team=solo())
    worker = cluster.worker(program=make)
    ref = await cluster.submit()
    assert await worker.execute(ref) is Finish.ENDED
    run = await cluster.service.get(TENANT, ref.run_id)
    assert run.error is not None
    assert (run.status, run.error.type, run.epoch) == ("failed", kind.__name__, 1)


async def test_a_failure_of_the_engine_ends_the_run_with_its_reason_and_is_not_tried_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def program(spec: Any) -> Any:
        raise ZeroDivisionError("a bug \ud83d")

    with caplog.at_level(logging.WARNING):
        cluster = Cluster({}, team=solo())
        ref = await cluster.submit()
        worker = cluster.worker(program=program)
        assert await worker.execute(ref) is Finish.ENDED
        assert await worker.execute(ref) is Finish.ENDED
        await worker.close()
        run = await cluster.service.get(TENANT, ref.run_id)
        assert (run.status, run.stop_code) == ("failed", "engine_fault")
        assert run.stop_reason == "ZeroDivisionError: a bug \ufffd"
        assert await cluster.store.list("open/") == []
    actions = [vars(record)["action"] for record in caplog.records]
    assert actions == ["engine.fault", "engine.run_failed"]


async def test_a_cancel_comes_before_a_failure_of_the_engine() -> None:
    cluster = Cluster({}, team=solo())

    class Broken:
        def __init__(self, spec: Any) -> None:
            raise ZeroDivisionError

    ref = await cluster.submit()
    await cluster.claim_and_die(ref)
    await cluster.service.cancel(TENANT, ref.run_id, reason="enough")
    worker = cluster.worker("dead", program=Broken)
    assert await worker.execute(ref) is Finish.ENDED
    run = await cluster.service.get(TENANT, ref.run_id)
    assert (run.status, run.stop_code, run.stop_reason) == ("cancelled", "cancelled", "enough")


async def test_the_log_of_the_worker_has_the_traceback_of_a_tool_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def use() -> str:
        raise LookupError("no such page")

    script: dict[str, list[Any]] = {
        "a": [{"tool_calls": [{"name": "use", "arguments": {}}]}, "DONE"]
    }
    team = solo("use", reflect_on_tool_use=True)
    cluster = Cluster(script, team=team, tools=[FunctionTool(use, description="x")])
    with caplog.at_level(logging.WARNING):
        ref, _, _ = await executed(cluster)
    [record] = caplog.records
    said = vars(record)
    assert (said["action"], said["run_id"]) == ("engine.call_failed", ref.run_id)
    assert (said["agent"], said["tool"]) == ("team/a", "use")
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], LookupError)


async def test_a_failed_run_is_a_warning_with_its_code_and_the_traceback_of_its_agent_class(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Falling, "falls", "LookupError")
    team = {
        "type": "round_robin_group_chat",
        "participants": [{"type": "custom_agent", "name": "s", "agent": "x", "model": "m"}],
        "max_turns": 1,
    }
    model = FreeModel(lambda messages: answer("x"))
    registry = Registry.of(teams={"team": team}, models={"m": model}, agents={"x": Falling})
    with caplog.at_level(logging.WARNING):
        await executed(Cluster({}, team={}, registry=registry))
    call, run = caplog.records
    assert (vars(call)["action"], vars(call)["agent"]) == ("engine.call_failed", "team/s")
    assert call.exc_info is not None
    assert isinstance(call.exc_info[1], LookupError)
    assert (vars(run)["action"], vars(run)["code"]) == ("engine.run_failed", "agent_failed")


async def test_an_error_raised_on_purpose_is_logged_without_a_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def use(size: int) -> str:
        return "used"

    calls = [{"name": "use", "arguments": {"size": "large"}}]
    script: dict[str, list[Any]] = {"a": [{"tool_calls": calls}, "DONE"]}
    team = solo("use", reflect_on_tool_use=True)
    cluster = Cluster(script, team=team, tools=[FunctionTool(use, description="x")])
    with caplog.at_level(logging.INFO, logger="teamrun.runs.engine.outcomes"):
        await executed(cluster)
    [record] = [r for r in caplog.records if vars(r).get("action") == "engine.call_failed"]
    assert (record.levelno, record.exc_info) == (logging.INFO, None)
