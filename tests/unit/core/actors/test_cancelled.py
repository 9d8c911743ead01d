"""Cancellations reach only those who are cancelled."""

import asyncio
from typing import Any

import pytest

from teamrun.core.actors import (
    AgentId,
    DefaultInterventionHandler,
    MessageContext,
    RoutedAgent,
    SingleThreadedAgentRuntime,
    TopicId,
    message_handler,
)

ECHO = AgentId("echo", "default")


class Echo(RoutedAgent):
    def __init__(self) -> None:
        super().__init__("An echo")

    @message_handler
    async def on_text(self, message: str, ctx: MessageContext) -> str:
        return message


class Cancelled(DefaultInterventionHandler):
    """A handler that awaits something which is cancelled, for one kind of message."""

    def __init__(self, kind: str) -> None:
        self.kind: str | None = kind

    def meet(self, kind: str, message: Any) -> Any:
        if kind == self.kind:
            self.kind = None
            raise asyncio.CancelledError
        return message

    async def on_send(self, message: Any, **_: Any) -> Any:
        return self.meet("send", message)

    async def on_publish(self, message: Any, **_: Any) -> Any:
        return self.meet("publish", message)

    async def on_response(self, message: Any, **_: Any) -> Any:
        return self.meet("response", message)


async def started(handler: Cancelled) -> SingleThreadedAgentRuntime:
    runtime = SingleThreadedAgentRuntime(intervention_handlers=[handler])
    await Echo.register(runtime, "echo", Echo)
    runtime.start()
    return runtime


@pytest.mark.parametrize("kind", ["send", "response"])
async def test_the_sender_hears_of_a_cancelled_intervention_and_the_runtime_goes_on(
    kind: str,
) -> None:
    runtime = await started(Cancelled(kind))
    async with asyncio.timeout(5):
        sending = asyncio.ensure_future(runtime.send_message("one", ECHO))
        await asyncio.wait([sending])

        assert sending.cancelled()
        assert await runtime.send_message("two", ECHO) == "two"
        await runtime.stop_when_idle()


async def test_the_runtime_goes_on_after_a_cancelled_intervention_in_a_published_message() -> None:
    runtime = await started(Cancelled("publish"))
    async with asyncio.timeout(5):
        await runtime.publish_message("one", TopicId("default", "default"))

        assert await runtime.send_message("two", ECHO) == "two"
        await runtime.stop_when_idle()


async def test_a_cancelled_call_of_process_next_is_cancelled() -> None:
    class Slow(DefaultInterventionHandler):
        async def on_send(self, message: Any, **_: Any) -> Any:
            await asyncio.Event().wait()

    runtime = SingleThreadedAgentRuntime(intervention_handlers=[Slow()])
    await Echo.register(runtime, "echo", Echo)
    sending = asyncio.ensure_future(runtime.send_message("one", ECHO))
    await asyncio.sleep(0)
    processing = asyncio.ensure_future(runtime.process_next())
    await asyncio.sleep(0)
    processing.cancel()

    async with asyncio.timeout(5):
        await asyncio.wait([processing, sending])
    assert processing.cancelled() and sending.cancelled()


@pytest.mark.parametrize("first", [True, False], ids=["creator", "waiting"])
async def test_the_cancellation_of_one_who_needs_an_agent_does_not_reach_the_others(
    first: bool,
) -> None:
    begun, go = asyncio.Event(), asyncio.Event()
    made: list[Echo] = []

    async def create() -> Echo:
        begun.set()
        await go.wait()
        made.append(Echo())
        return made[-1]

    runtime = SingleThreadedAgentRuntime()
    await Echo.register(runtime, "echo", create)
    runtime.start()
    async with asyncio.timeout(5):
        getting = [asyncio.ensure_future(runtime.get(ECHO, lazy=False))]
        await begun.wait()
        getting.append(asyncio.ensure_future(runtime.get(ECHO, lazy=False)))
        sending = asyncio.ensure_future(runtime.send_message("one", ECHO))
        for _ in range(5):
            await asyncio.sleep(0)
        cancelled, kept = getting if first else getting[::-1]
        cancelled.cancel()
        await asyncio.wait([cancelled])
        go.set()

        assert await sending == "one"
        assert await kept == ECHO
        assert len(made) == 1
        await runtime.stop_when_idle()


@pytest.mark.parametrize("timeout", [float("nan"), -1, -0.5])
async def test_a_timeout_is_a_number_of_seconds_from_0(timeout: float) -> None:
    runtime = SingleThreadedAgentRuntime()

    with pytest.raises(ValueError, match="timeout must be a number of seconds from 0"):
        await runtime.send_message("a", ECHO, timeout=timeout)
