"""The circuit of a profile: when it opens, what it does while it is open, and how it closes."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Any

import pytest
from tests.support.runs import TENANT, Cluster, solo

from teamrun.components.registry import Registry
from teamrun.core.cancellation import CancellationToken
from teamrun.errors import CircuitOpen, ModelError
from teamrun.messages.llm import CreateResult, UserMessage
from teamrun.models.base import ChatCompletionClient
from teamrun.models.breaker import BreakerLimits, BreakerModel, Circuit, with_breaker
from teamrun.models.fallback import Candidate, FallbackModel
from teamrun.models.retry import RetryingModel, RetryPolicy
from teamrun.models.wrapper import ModelWrapper
from teamrun.testing import FakeClock, ScriptedModel

ASK = [UserMessage(content="Hi", source="user")]
DOWN = {"error": {"message": "down", "status_code": 503, "retryable": True}}
WRONG = {"error": {"message": "wrong", "status_code": 400}}


class Seconds:
    """Time that a test sets."""

    at = 0.0

    def __call__(self) -> float:
        return self.at


async def created(model: ChatCompletionClient) -> CreateResult:
    return await model.create(ASK)


async def streamed(model: ChatCompletionClient) -> CreateResult:
    *_, last = [piece async for piece in model.create_stream(ASK)]
    assert isinstance(last, CreateResult)
    return last


BOTH = pytest.mark.parametrize("call", [created, streamed])


IN_A_ROW = BreakerLimits(failures=3)


@dataclass(frozen=True)
class Case:
    id: str
    outcomes: str
    """Of the calls, ten seconds apart: `d`own, `w`rong request or an `a`nswer."""
    opens: bool
    limits: BreakerLimits = IN_A_ROW


SHARE = BreakerLimits(failures=3, failure_share=0.5, window_s=100)
CASES = [
    Case("fewer failures", "dd", False),
    Case("failures in a row", "addd", True),
    Case("an answer in between", "ddadd", False),
    Case("a wrong request shows that the server works", "ddwdd", False),
    Case("wrong requests", "wwww", False),
    Case("half of the calls", "dadad", True, SHARE),
    Case("fewer than half", "adaadaaada", False, SHARE),
    Case("enough, but too few in number", "dada", False, SHARE),
    Case("those before the window are forgotten", "dadaaaaaaaaad", False, SHARE),
    Case("failures in a row, with a share", "aaaaaaaaddd", True, SHARE),
]


@BOTH
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
async def test_failures_of_the_server_open_the_circuit(
    case: Case, call: Callable[..., Any]
) -> None:
    now = Seconds()
    circuit = Circuit("main", case.limits, now=now)
    steps = {"d": DOWN, "w": WRONG, "a": "well"}
    model = BreakerModel(ScriptedModel([steps[each] for each in case.outcomes]), circuit)
    for outcome in case.outcomes:
        now.at += 10
        if outcome == "a":
            await call(model)
        else:
            with pytest.raises(ModelError):
                await call(model)
    assert circuit.state == ("open" if case.opens else "closed")


LIMITS = BreakerLimits(failures=2, cool_down_s=30)


async def opened(circuit: Circuit) -> None:
    for _ in range(LIMITS.failures):
        with pytest.raises(ModelError):
            await BreakerModel(ScriptedModel([DOWN]), circuit).create(ASK)


@BOTH
async def test_an_open_circuit_makes_no_call_and_names_the_last_failure(
    call: Callable[..., Any],
) -> None:
    now = Seconds()
    circuit = Circuit("main", LIMITS, now=now)
    await opened(circuit)
    script = ScriptedModel(["well"], record=True)
    now.at += 29
    with pytest.raises(CircuitOpen) as raised:
        await call(BreakerModel(script, circuit))
    assert script.calls == []
    assert (raised.value.code, raised.value.retryable) == ("model_circuit_open", True)
    assert raised.value.status_code == 503
    assert "'main'" in raised.value.message
    assert "in 1 s" in raised.value.message
    assert "down" in raised.value.message


@BOTH
async def test_after_the_cool_down_one_call_decides(call: Callable[..., Any]) -> None:
    now = Seconds()
    circuit = Circuit("main", LIMITS, now=now)
    await opened(circuit)
    now.at += 30
    assert circuit.state == "half_open"
    with pytest.raises(ModelError):
        await call(BreakerModel(ScriptedModel([DOWN]), circuit))
    assert circuit.state == "open"
    now.at += 30
    await call(BreakerModel(ScriptedModel(["well"]), circuit))
    assert circuit.state == "closed"
    with pytest.raises(ModelError):
        await call(BreakerModel(ScriptedModel([DOWN]), circuit))
    assert circuit.state == "closed", "failures before it was closed do not count"


class Waiting(ModelWrapper):
    """Answers when the test sets `may_end`."""

    def __init__(self) -> None:
        super().__init__(ScriptedModel(["well"]))
        self.asked, self.may_end = asyncio.Event(), asyncio.Event()

    async def create(self, *args: Any, **options: Any) -> CreateResult:
        self.asked.set()
        await self.may_end.wait()
        return await super().create(*args, **options)


async def test_only_one_call_is_made_while_the_circuit_is_half_open() -> None:
    now = Seconds()
    circuit = Circuit("main", LIMITS, now=now)
    await opened(circuit)
    now.at += 30
    waiting = Waiting()
    probe = asyncio.ensure_future(BreakerModel(waiting, circuit).create(ASK))
    await waiting.asked.wait()
    with pytest.raises(CircuitOpen, match="under way"):
        await BreakerModel(ScriptedModel(["well"]), circuit).create(ASK)
    waiting.may_end.set()
    assert (await probe).content == "well"
    assert circuit.state == "closed"


async def test_a_probe_that_is_cancelled_lets_another_call_decide() -> None:
    now = Seconds()
    circuit = Circuit("main", LIMITS, now=now)
    await opened(circuit)
    now.at += 30
    waiting = Waiting()
    probe = asyncio.ensure_future(BreakerModel(waiting, circuit).create(ASK))
    await waiting.asked.wait()
    probe.cancel()
    with pytest.raises(asyncio.CancelledError):
        await probe
    assert circuit.state == "half_open"
    await BreakerModel(ScriptedModel(["well"]), circuit).create(ASK)
    assert circuit.state == "closed"


async def test_a_call_that_began_before_the_circuit_opened_does_not_close_it() -> None:
    circuit = Circuit("main", LIMITS, now=Seconds())
    waiting = Waiting()
    slow = asyncio.ensure_future(BreakerModel(waiting, circuit).create(ASK))
    await waiting.asked.wait()
    await opened(circuit)
    waiting.may_end.set()
    await slow
    assert circuit.state == "open"


async def test_a_stream_that_is_left_does_not_count() -> None:
    circuit = Circuit("main", LIMITS, now=Seconds())
    for _ in range(3):
        stream = BreakerModel(ScriptedModel(["two words"]), circuit).create_stream(ASK)
        await anext(stream)
        await stream.aclose()
    assert circuit.state == "closed"


async def test_a_stream_that_breaks_off_is_a_failure() -> None:
    class Breaking(ModelWrapper):
        async def create_stream(self, *args: Any, **options: Any) -> AsyncGenerator[Any, None]:
            yield "Hel"
            raise ModelError("reset", retryable=True)

    circuit = Circuit("main", LIMITS, now=Seconds())
    for _ in range(2):
        with pytest.raises(ModelError):
            await streamed(BreakerModel(Breaking(ScriptedModel([])), circuit))
    assert circuit.state == "open"


@BOTH
async def test_attempts_count_and_an_open_circuit_ends_the_retries(
    call: Callable[..., Any],
) -> None:
    script, clock = ScriptedModel([DOWN] * 9, record=True), FakeClock()
    model = RetryingModel(script, RetryPolicy(jitter=0), clock=clock)
    guarded = with_breaker(model, Circuit("main", LIMITS, now=Seconds()))
    with pytest.raises(CircuitOpen):
        await call(guarded)
    assert (len(script.calls), clock.sleeps) == (2, [0.5, 1.0])
    second = Candidate("second", ScriptedModel(["well", "well"]))
    chain = FallbackModel([Candidate("main", guarded), second])
    assert (await call(chain)).content == "well"
    assert len(script.calls) == 2


async def test_a_client_without_retries_is_guarded_as_it_is() -> None:
    script = ScriptedModel([DOWN, DOWN, "well"], record=True)
    guarded = with_breaker(script, Circuit("main", LIMITS, now=Seconds()))
    for kind in (ModelError, ModelError, CircuitOpen):
        with pytest.raises(kind):
            await guarded.create(ASK)
    assert len(script.calls) == 2


async def test_the_log_tells_when_a_circuit_opens_and_closes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = Seconds()
    circuit = Circuit("main", LIMITS, now=now)
    with caplog.at_level("INFO", logger="teamrun.models.breaker"):
        await opened(circuit)
        now.at += 30
        await BreakerModel(ScriptedModel(["well"]), circuit).create(ASK)
    said = [(record.__dict__["action"], record.__dict__["profile"]) for record in caplog.records]
    assert said == [("model.circuit_opened", "main"), ("model.circuit_closed", "main")]


async def test_a_run_has_the_code_of_the_error_live_and_in_a_replay() -> None:
    circuit = Circuit("m", LIMITS, now=Seconds())
    await opened(circuit)
    model = BreakerModel(ScriptedModel(["DONE"]), circuit)
    registry = Registry.of(teams={"team": solo()}, models={"m": model})
    cluster = Cluster({}, team=solo(), registry=registry)
    ref = await cluster.submit()
    await cluster.worker().execute(ref)
    run = await cluster.service.get(TENANT, ref.run_id)
    assert run.error is not None
    assert (run.status, run.error.code, run.error.retryable) == (
        "failed",
        "model_circuit_open",
        True,
    )


async def test_a_token_ends_the_wait_inside_a_circuit_without_a_failure() -> None:
    token, circuit = CancellationToken(), Circuit("main", LIMITS, now=Seconds())
    token.cancel()
    for _ in range(3):
        with pytest.raises(asyncio.CancelledError):
            await BreakerModel(ScriptedModel([]), circuit).create(ASK, cancellation_token=token)
    assert circuit.state == "closed"
