"""The runtime of actors: order, responses, failures, stops, state."""

import asyncio
import gc
from dataclasses import dataclass
from typing import Any, cast

import pytest

from teamrun.core import CancellationToken
from teamrun.core.actors import (
    AgentId,
    AgentProxy,
    AgentType,
    BaseAgent,
    ClosureAgent,
    ClosureContext,
    DefaultInterventionHandler,
    DefaultSubscription,
    DefaultTopicId,
    DropMessage,
    MessageContext,
    MessageDroppedException,
    RoutedAgent,
    SingleThreadedAgentRuntime,
    TopicId,
    TypeSubscription,
    UndeliverableException,
    default_subscription,
    message_handler,
    type_subscription,
)


@dataclass
class Text:
    text: str


@dataclass
class Number:
    value: int


class Echo(RoutedAgent):
    def __init__(self) -> None:
        super().__init__("An echo")
        self.heard: list[str] = []
        self.is_closed = False

    @message_handler
    async def on_text(self, message: Text, ctx: MessageContext) -> Text:
        if message.text == "boom":
            raise ValueError("boom")
        self.heard.append(message.text)
        return Text(f"{self.id}: {message.text}")

    async def save_state(self) -> dict[str, Any]:
        return {"heard": self.heard}

    async def load_state(self, state: Any) -> None:
        self.heard = list(state["heard"])

    async def close(self) -> None:
        self.is_closed = True


@default_subscription
class Listener(Echo):
    pass


async def echo_runtime(**options: Any) -> SingleThreadedAgentRuntime:
    runtime = SingleThreadedAgentRuntime(**options)
    await Echo.register(runtime, "echo", Echo)
    return runtime


async def agent(runtime: SingleThreadedAgentRuntime, id: AgentId) -> Echo:
    return await runtime.try_get_underlying_agent_instance(id, Echo)


@pytest.mark.behaviour("core.runtime.lazy")
async def test_a_message_is_answered_by_the_agent_of_its_key() -> None:
    runtime = await echo_runtime()
    runtime.start()

    first = await runtime.send_message(Text("a"), AgentId("echo", "1"))
    second = await runtime.send_message(Text("b"), AgentId("echo", "2"))
    await runtime.stop()

    assert (first, second) == (Text("echo/1: a"), Text("echo/2: b"))
    assert (await agent(runtime, AgentId("echo", "1"))).heard == ["a"]


@pytest.mark.behaviour("core.runtime.concurrent")
async def test_a_request_and_its_response_are_two_messages_of_the_queue() -> None:
    runtime = await echo_runtime()
    sending = asyncio.ensure_future(runtime.send_message(Text("a"), AgentId("echo")))
    await asyncio.sleep(0)
    assert runtime.unprocessed_messages_count == 1

    await runtime.process_next()
    assert not sending.done()
    await runtime.process_next()

    assert await sending == Text("echo/default: a")


@pytest.mark.behaviour("core.runtime.concurrent")
async def test_messages_are_handled_in_the_order_in_which_they_were_published() -> None:
    runtime = SingleThreadedAgentRuntime()
    await Listener.register(runtime, "listener", Listener)
    runtime.start()
    for number in range(5):
        await runtime.publish_message(Text(str(number)), DefaultTopicId())
    await runtime.stop_when_idle()

    assert (await agent(runtime, AgentId("listener"))).heard == ["0", "1", "2", "3", "4"]


@pytest.mark.behaviour("core.runtime.concurrent")
async def test_handlers_run_concurrently() -> None:
    runtime = SingleThreadedAgentRuntime()
    both = asyncio.Barrier(2)

    async def meet(agent: ClosureContext, message: Text, ctx: MessageContext) -> Text:
        await both.wait()
        return message

    await ClosureAgent.register_closure(runtime, "meet", meet)
    runtime.start()
    calls = (runtime.send_message(Text(key), AgentId("meet", key)) for key in "ab")
    assert await asyncio.gather(*calls) == [Text("a"), Text("b")]
    await runtime.stop()


@pytest.mark.behaviour("core.runtime.errors")
async def test_an_exception_of_a_handler_is_raised_at_the_sender() -> None:
    runtime = await echo_runtime()
    runtime.start()
    with pytest.raises(ValueError, match=r"^boom$"):
        await runtime.send_message(Text("boom"), AgentId("echo"))
    assert await runtime.send_message(Text("a"), AgentId("echo")) == Text("echo/default: a")
    await runtime.stop_when_idle()


@pytest.mark.behaviour("core.runtime.unknown")
async def test_a_message_to_an_unknown_type_is_undeliverable() -> None:
    with pytest.raises(UndeliverableException, match=r"Recipient not found: .* 'nobody'"):
        await SingleThreadedAgentRuntime().send_message(Text("a"), AgentId("nobody"))


@pytest.mark.behaviour("core.runtime.self")
async def test_what_an_agent_publishes_is_not_delivered_to_itself() -> None:
    runtime = SingleThreadedAgentRuntime()

    class Talker(Echo):
        @message_handler
        async def on_number(self, message: Number, ctx: MessageContext) -> None:
            await self.publish_message(Text("hi"), DefaultTopicId())

    for name in ("one", "two"):
        await Talker.register(runtime, name, Talker)
        await runtime.add_subscription(TypeSubscription("default", name))
    runtime.start()
    await runtime.send_message(Number(1), AgentId("one", "k"))
    await runtime.stop_when_idle()

    assert (await agent(runtime, AgentId("one", "k"))).heard == []
    assert (await agent(runtime, AgentId("two", "k"))).heard == ["hi"]


@pytest.mark.behaviour("core.runtime.errors")
async def test_an_exception_of_a_published_message_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    runtime = SingleThreadedAgentRuntime()
    await Listener.register(runtime, "listener", Listener)
    runtime.start()
    await runtime.publish_message(Text("boom"), DefaultTopicId())
    await runtime.publish_message(Text("next"), DefaultTopicId())
    await runtime.stop_when_idle()

    assert (await agent(runtime, AgentId("listener"))).heard == ["next"]
    assert [(each.levelname, each.exc_info is not None) for each in caplog.records] == [
        ("ERROR", True)
    ]


@pytest.mark.behaviour("core.runtime.errors")
@pytest.mark.parametrize("in_background", [True, False])
async def test_an_exception_of_a_published_message_is_raised_on_request(
    in_background: bool,
) -> None:
    runtime = SingleThreadedAgentRuntime(ignore_unhandled_exceptions=False)
    await Listener.register(runtime, "listener", Listener)
    await runtime.publish_message(Text("boom"), DefaultTopicId())
    if in_background:
        runtime.start()
        with pytest.raises(ValueError, match="boom"):
            await runtime.stop_when_idle()
    else:
        await runtime.process_next()
        await runtime.publish_message(Text("next"), DefaultTopicId())
        with pytest.raises(ValueError, match="boom"):
            while True:
                await runtime.process_next()


async def test_a_runtime_that_failed_takes_no_messages_until_it_is_stopped() -> None:
    runtime = SingleThreadedAgentRuntime(ignore_unhandled_exceptions=False)
    await Listener.register(runtime, "listener", Listener)
    runtime.start()
    await runtime.publish_message(Text("boom"), DefaultTopicId())
    with pytest.raises(UndeliverableException):
        while True:
            await runtime.publish_message(Text("next"), DefaultTopicId())
            await asyncio.sleep(0)
    with pytest.raises(ValueError, match="boom"):
        await runtime.stop()

    runtime.start()
    assert await runtime.send_message(Text("a"), AgentId("listener")) is not None
    await runtime.stop()


@pytest.mark.behaviour("core.runtime.stop", "core.runtime.stop.senders")
async def test_a_stop_drops_what_waits_and_its_senders_are_told() -> None:
    runtime = await echo_runtime()
    sending = asyncio.ensure_future(runtime.send_message(Text("a"), AgentId("echo")))
    await asyncio.sleep(0)
    runtime.start()
    await runtime.stop()

    with pytest.raises(UndeliverableException, match="stop_when_idle"):
        await sending
    assert runtime.unprocessed_messages_count == 0


async def test_a_handler_that_runs_at_a_stop_still_answers() -> None:
    runtime = SingleThreadedAgentRuntime()
    began, may_end = asyncio.Event(), asyncio.Event()

    async def slow(agent: ClosureContext, message: Text, ctx: MessageContext) -> Text:
        began.set()
        await may_end.wait()
        return message

    await ClosureAgent.register_closure(runtime, "slow", slow)
    runtime.start()
    sending = asyncio.ensure_future(runtime.send_message(Text("a"), AgentId("slow")))
    await began.wait()
    await runtime.stop()
    may_end.set()

    assert await sending == Text("a")


@pytest.mark.behaviour("core.runtime.start")
async def test_starts_and_stops_out_of_order_are_errors() -> None:
    runtime = SingleThreadedAgentRuntime()
    for stop in (runtime.stop, runtime.stop_when_idle, lambda: runtime.stop_when(lambda: True)):
        with pytest.raises(RuntimeError, match=r"^Runtime is not started$"):
            await stop()
    runtime.start()
    with pytest.raises(RuntimeError, match=r"^Runtime is already started$"):
        runtime.start()
    await runtime.stop_when(lambda: True)


@pytest.mark.behaviour("core.runtime.stop")
async def test_a_close_stops_the_runtime_and_closes_the_agents() -> None:
    runtime = await echo_runtime()
    echo = await agent(runtime, AgentId("echo"))
    runtime.start()
    await runtime.close()

    assert echo.is_closed
    with pytest.raises(RuntimeError, match="not started"):
        await runtime.stop()


@pytest.mark.behaviour("core.token")
async def test_a_token_ends_the_wait_and_the_handler_sees_it() -> None:
    problems: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, problem: problems.append(problem))
    runtime = SingleThreadedAgentRuntime()
    began, ended = asyncio.Event(), asyncio.Event()

    async def slow(agent: ClosureContext, message: Text, ctx: MessageContext) -> None:
        ctx.cancellation_token.add_callback(ended.set)
        began.set()
        await ended.wait()

    await ClosureAgent.register_closure(runtime, "slow", slow)
    runtime.start()
    token = CancellationToken()
    sending = asyncio.ensure_future(
        runtime.send_message(Text("a"), AgentId("slow"), cancellation_token=token)
    )
    await began.wait()
    token.cancel()

    with pytest.raises(asyncio.CancelledError):
        await sending
    await runtime.stop_when_idle()
    gc.collect()
    assert problems == []


@pytest.mark.behaviour("core.request_timeout")
async def test_a_request_with_a_timeout_ends_and_cancels_its_handler_alone() -> None:
    runtime = SingleThreadedAgentRuntime()
    tokens: list[CancellationToken] = []

    async def never(agent: ClosureContext, message: Text, ctx: MessageContext) -> None:
        tokens.append(ctx.cancellation_token)
        stopped = asyncio.Event()
        ctx.cancellation_token.add_callback(stopped.set)
        await stopped.wait()

    await ClosureAgent.register_closure(runtime, "never", never)
    runtime.start()
    own = CancellationToken()
    with pytest.raises(TimeoutError, match=r"^never/default did not respond within 0.01 s"):
        await runtime.send_message(
            Text("a"), AgentId("never"), cancellation_token=own, timeout=0.01
        )
    await runtime.stop_when_idle()

    assert [each.is_cancelled() for each in tokens] == [True]
    assert not own.is_cancelled()


async def test_a_timeout_error_of_a_handler_is_not_taken_for_the_limit() -> None:
    runtime = SingleThreadedAgentRuntime()

    async def fail(agent: ClosureContext, message: Text, ctx: MessageContext) -> None:
        raise TimeoutError("its own")

    await ClosureAgent.register_closure(runtime, "fail", fail)
    runtime.start()
    with pytest.raises(TimeoutError, match=r"^its own$"):
        await runtime.send_message(Text("a"), AgentId("fail"), timeout=60)
    await runtime.stop()


class Censor(DefaultInterventionHandler):
    def __init__(self, word: str, value: Any) -> None:
        self._word = word
        self._value = value

    def _of(self, message: Any) -> Any:
        is_meant = isinstance(message, Text) and self._word in message.text
        return self._value if is_meant else message

    async def on_send(self, message: Any, **rest: Any) -> Any:
        return self._of(message)

    async def on_publish(self, message: Any, **rest: Any) -> Any:
        return self._of(message)

    async def on_response(self, message: Any, **rest: Any) -> Any:
        return self._of(message)


@pytest.mark.behaviour("core.intervention")
@pytest.mark.parametrize("dropped", [DropMessage, DropMessage()])
@pytest.mark.parametrize(("word", "stage"), [("a", "on_send"), ("echo", "on_response")])
async def test_a_dropped_message_is_an_exception_at_the_sender(
    word: str, stage: str, dropped: Any
) -> None:
    runtime = await echo_runtime(intervention_handlers=[Censor(word, dropped)])
    runtime.start()
    with pytest.raises(MessageDroppedException, match=stage):
        await runtime.send_message(Text("a"), AgentId("echo"))
    await runtime.stop_when_idle()  # AutoGen would wait for the dropped message


@pytest.mark.behaviour("core.intervention")
async def test_a_dropped_broadcast_is_delivered_to_nobody() -> None:
    runtime = SingleThreadedAgentRuntime(intervention_handlers=[Censor("bad", DropMessage)])
    await Listener.register(runtime, "listener", Listener)
    runtime.start()
    for text in ("bad", "good"):
        await runtime.publish_message(Text(text), DefaultTopicId())
    await runtime.stop_when_idle()

    assert (await agent(runtime, AgentId("listener"))).heard == ["good"]


@pytest.mark.behaviour("core.intervention.chain")
async def test_intervention_handlers_each_get_what_the_one_before_returned() -> None:
    handlers = [Censor("bad", Text("worse")), Censor("worse", Text("well"))]
    runtime = await echo_runtime(intervention_handlers=handlers)
    runtime.start()

    assert await runtime.send_message(Text("bad"), AgentId("echo")) == Text("echo/default: well")
    await runtime.stop()


@pytest.mark.behaviour("core.intervention")
async def test_an_intervention_handler_that_returns_none_changes_nothing() -> None:
    runtime = await echo_runtime(intervention_handlers=[Censor("echo", None)])
    runtime.start()
    with pytest.warns(RuntimeWarning, match="on_response returned None"):
        assert await runtime.send_message(Text("a"), AgentId("echo")) == Text("echo/default: a")
    await runtime.stop()


async def test_an_exception_of_an_intervention_handler(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(DefaultInterventionHandler):
        async def on_send(self, message: Any, **rest: Any) -> Any:
            raise KeyError("sent")

        async def on_publish(self, message: Any, **rest: Any) -> Any:
            raise KeyError("published")

    runtime = await echo_runtime(intervention_handlers=[Broken()])
    runtime.start()
    with pytest.raises(KeyError, match="sent"):
        await runtime.send_message(Text("a"), AgentId("echo"))
    await runtime.publish_message(Text("a"), DefaultTopicId())
    await runtime.stop_when_idle()

    assert [each.getMessage() for each in caplog.records] == ["An intervention handler failed"]


@pytest.mark.behaviour("core.runtime.released", "core.runtime.stop")
async def test_the_next_message_goes_to_the_same_object_until_a_condition_stops_the_runtime() -> (
    None
):
    runtime = await echo_runtime()
    runtime.start()
    await runtime.send_message(Text("a"), AgentId("echo", "k"))
    first = await agent(runtime, AgentId("echo", "k"))
    stopping = asyncio.ensure_future(runtime.stop_when(lambda: first.heard == ["a", "b"]))
    await asyncio.sleep(0)
    assert not stopping.done()
    gc.collect()
    await runtime.send_message(Text("b"), AgentId("echo", "k"))
    await stopping


@pytest.mark.behaviour("core.runtime.state")
async def test_state_is_saved_by_id_and_loaded_into_another_runtime() -> None:
    first, second = await echo_runtime(), await echo_runtime()
    first.start()
    await first.send_message(Text("a"), AgentId("echo", "k"))
    await first.stop()
    state = await first.save_state()
    await second.load_state({**state, "unknown/k": {}})

    assert state == {"echo/k": {"heard": ["a"]}}
    assert (await agent(second, AgentId("echo", "k"))).heard == ["a"]
    assert await second.agent_save_state(AgentId("echo", "k")) == {"heard": ["a"]}


@pytest.mark.behaviour("core.register")
async def test_a_type_is_registered_once() -> None:
    runtime = await echo_runtime()
    with pytest.raises(ValueError, match="Agent with type echo already exists"):
        await Echo.register(runtime, "echo", Echo)
    with pytest.raises(ValueError, match="cannot be registered to the same type"):
        await Echo().register_instance(runtime, AgentId("echo", "1"))


@pytest.mark.behaviour("core.register")
async def test_an_instance_is_registered_under_its_id() -> None:
    runtime = SingleThreadedAgentRuntime()
    echo = Echo()
    await echo.register_instance(runtime, AgentId("one", "k"))
    await Echo().register_instance(runtime, AgentId("one", "l"))
    runtime.start()

    assert await runtime.send_message(Text("a"), AgentId("one", "k")) == Text("one/k: a")
    with pytest.raises(RuntimeError, match="skip_class_subscriptions"):
        await runtime.send_message(Text("a"), AgentId("one", "other"))
    with pytest.raises(ValueError, match="Agent with id one/k already exists"):
        await Echo().register_instance(runtime, AgentId("one", "k"))
    with pytest.raises(ValueError, match="same object type"):
        await Listener().register_instance(runtime, AgentId("one", "m"))
    with pytest.raises(RuntimeError, match="bound to a different ID"):
        await echo.register_instance(runtime, AgentId("one", "n"))
    await runtime.stop()
    with pytest.raises(RuntimeError, match="bound to a different runtime"):
        await echo.register_instance(SingleThreadedAgentRuntime(), AgentId("one", "k"))


@pytest.mark.behaviour("core.register")
async def test_a_factory_must_create_the_class() -> None:
    runtime = SingleThreadedAgentRuntime()
    register: Any = runtime.register_factory
    await register("echo", Echo, expected_class=Listener)
    with pytest.raises(ValueError, match="expected Listener, got Echo"):
        await runtime.get("echo", lazy=False)


@pytest.mark.behaviour("core.runtime.lazy")
async def test_an_async_factory_is_called_once_for_two_messages_at_once() -> None:
    runtime = SingleThreadedAgentRuntime()
    created: list[Echo] = []
    may_create = asyncio.Event()

    async def create() -> Echo:
        await may_create.wait()
        created.append(Echo())
        return created[-1]

    await Echo.register(runtime, "echo", create)
    calls = [asyncio.ensure_future(runtime.send_message(Text(t), AgentId("echo"))) for t in "ab"]
    await asyncio.sleep(0)
    for _ in calls:
        await runtime.process_next()  # both wait for the agent now
    may_create.set()
    runtime.start()
    await asyncio.gather(*calls)
    await runtime.stop()

    assert [each.heard for each in created] == [["a", "b"]]


async def test_the_agent_behind_an_id_has_the_class_that_is_asked_for() -> None:
    runtime = await echo_runtime()
    with pytest.raises(TypeError, match=r"echo is not of type Listener. It is of type Echo"):
        await runtime.try_get_underlying_agent_instance(AgentId("echo"), Listener)
    with pytest.raises(LookupError, match="Agent with name nobody not found"):
        await runtime.get("nobody", lazy=False)
    assert await runtime.get(AgentType("echo"), "k") == AgentId("echo", "k")


@pytest.mark.behaviour("core.proxy")
async def test_a_proxy_stands_for_an_agent() -> None:
    runtime = await echo_runtime()
    proxy = AgentProxy(AgentId("echo", "k"), runtime)
    runtime.start()

    assert await proxy.send_message(Text("a"), sender=AgentId("x")) == Text("echo/k: a")
    assert await proxy.metadata == {"type": "echo", "key": "k", "description": "An echo"}
    await proxy.load_state({"heard": ["b"]})
    assert await proxy.save_state() == {"heard": ["b"]}
    await runtime.stop()


async def test_an_agent_without_state_warns() -> None:
    class Plain(BaseAgent):
        async def on_message_impl(self, message: Any, ctx: MessageContext) -> Any:
            return message

    plain = Plain("plain")
    with pytest.warns(UserWarning, match="save_state not implemented"):
        assert await plain.save_state() == {}
    with pytest.warns(UserWarning, match="load_state not implemented"):
        await plain.load_state({})
    with pytest.raises(ValueError, match="must be a string"):
        Plain(cast(Any, None))


@pytest.mark.behaviour("core.subscriptions")
async def test_topics_reach_the_agents_whose_key_is_their_source() -> None:
    runtime = SingleThreadedAgentRuntime()

    @type_subscription("news")
    class Reader(Echo):
        pass

    await Reader.register(runtime, "reader", Reader)
    runtime.start()
    await runtime.publish_message(Text("a"), TopicId("news", "berlin"))
    await runtime.publish_message(Text("b"), TopicId("reader:direct", "rome"))
    await runtime.publish_message(Text("c"), TopicId("other"))
    await runtime.stop_when_idle()

    heard = await runtime.save_state()
    assert heard == {"reader/berlin": {"heard": ["a"]}, "reader/rome": {"heard": ["b"]}}


@pytest.mark.behaviour("core.context.send", "core.closure")
async def test_a_closure_collects_results() -> None:
    runtime = SingleThreadedAgentRuntime()
    results: list[str] = []

    async def collect(agent: ClosureContext, message: Text | Number, ctx: MessageContext) -> None:
        results.append(f"{ctx.topic} {message}")

    subscriptions = lambda: [DefaultSubscription()]  # noqa: E731 - as it is written in programs
    await ClosureAgent.register_closure(runtime, "all", collect, subscriptions=subscriptions)
    runtime.start()
    await runtime.publish_message(Number(1), DefaultTopicId())
    await runtime.stop_when_idle()

    assert results == ["default Number(value=1)"]
