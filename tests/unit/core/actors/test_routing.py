"""Which method of an agent handles a message, and the types that it may take and return."""

from dataclasses import dataclass
from typing import Any

import pytest

from teamrun.core import CancellationToken
from teamrun.core.actors import (
    AgentId,
    CantHandleException,
    ClosureAgent,
    ClosureContext,
    DefaultTopicId,
    MessageContext,
    RoutedAgent,
    SingleThreadedAgentRuntime,
    default_subscription,
    event,
    message_handler,
    rpc,
)


@dataclass
class Text:
    text: str


@dataclass
class Number:
    value: int


@dataclass
class Longer(Text):
    pass


def is_first(message: Text, ctx: MessageContext) -> bool:
    return message.text == "first"


@default_subscription()
class Router(RoutedAgent):
    def __init__(self) -> None:
        super().__init__("A router")
        self.calls: list[str] = []

    @message_handler(match=is_first)
    async def a_first(self, message: Text, ctx: MessageContext) -> str:
        return self.note("a_first")

    @message_handler
    async def b_any(self, message: Text | Number, ctx: MessageContext) -> str:
        return self.note("b_any")

    @message_handler
    async def c_never(self, message: Text, ctx: MessageContext) -> str:
        return self.note("c_never")

    @event
    async def on_flag(self, message: bool, ctx: MessageContext) -> None:
        self.note("event")

    @rpc
    async def on_flag_sent(self, message: bool, ctx: MessageContext) -> Any:
        return self.note("rpc")

    async def on_unhandled_message(self, message: Any, ctx: MessageContext) -> None:
        self.note(f"unhandled {type(message).__name__}")

    def note(self, call: str) -> str:
        self.calls.append(call)
        return call


async def started() -> SingleThreadedAgentRuntime:
    runtime = SingleThreadedAgentRuntime()
    await Router.register(runtime, "agent", Router)
    runtime.start()
    return runtime


@pytest.mark.behaviour("core.routing", "core.message_router")
@pytest.mark.parametrize(
    ("message", "call"),
    [
        (Text("first"), "a_first"),
        (Text("other"), "b_any"),
        (Number(1), "b_any"),
        (True, "rpc"),
    ],
)
async def test_the_first_method_in_alphabetical_order_that_matches_is_called(
    message: Any, call: str
) -> None:
    runtime = await started()

    assert await runtime.send_message(message, AgentId("agent")) == call
    await runtime.stop()


@pytest.mark.behaviour("core.routing")
async def test_a_published_message_goes_to_the_event_and_a_derived_type_to_no_method() -> None:
    runtime = await started()
    for message in (True, Longer("first"), 1.5):
        await runtime.publish_message(message, DefaultTopicId())
    await runtime.stop_when_idle()

    router = await runtime.try_get_underlying_agent_instance(AgentId("agent"), Router)
    assert router.calls == ["event", "unhandled Longer", "unhandled float"]


@pytest.mark.behaviour("core.context", "core.ids")
async def test_the_context_names_the_sender_the_topic_and_the_id() -> None:
    contexts: list[MessageContext] = []
    runtime = SingleThreadedAgentRuntime()

    async def note(agent: ClosureContext, message: Text, ctx: MessageContext) -> None:
        contexts.append(ctx)
        if len(contexts) == 1:
            await agent.publish_message(message, DefaultTopicId())  # with the agent's own key

    await ClosureAgent.register_closure(runtime, "note", note)
    await Router.register(runtime, "router", Router)
    runtime.start()
    await runtime.send_message(
        Text("a"), AgentId("note", "k"), sender=AgentId("me"), message_id="m-1"
    )
    await runtime.stop_when_idle()

    (context,) = contexts
    assert (context.sender, context.topic_id, context.topic) == (AgentId("me"), None, None)
    assert (context.is_rpc, context.message_id) == (True, "m-1")
    router = await runtime.try_get_underlying_agent_instance(AgentId("router", "k"), Router)
    assert router.calls == ["b_any"]


@pytest.mark.behaviour("core.context.send")
async def test_a_context_can_send_for_its_agent() -> None:
    senders: list[AgentId | None] = []
    runtime = SingleThreadedAgentRuntime()

    async def relay(agent: ClosureContext, message: Text, ctx: MessageContext) -> str:
        return str(await ctx.send_message(Number(1), AgentId("end")))

    async def end(agent: ClosureContext, message: Number, ctx: MessageContext) -> str:
        senders.append(ctx.sender)
        return "end"

    await ClosureAgent.register_closure(runtime, "relay", relay)
    await ClosureAgent.register_closure(runtime, "end", end)
    runtime.start()

    assert await runtime.send_message(Text("a"), AgentId("relay", "k")) == "end"
    assert senders == [AgentId("relay", "k")]
    await runtime.stop()
    with pytest.raises(RuntimeError, match="has no runtime"):
        await context().send_message(Text("a"), AgentId("end"))


@pytest.mark.behaviour("core.routing.strict")
@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("kind", [message_handler, event, rpc])
async def test_a_method_must_return_what_it_announces(
    kind: Any, strict: bool, caplog: pytest.LogCaptureFixture
) -> None:
    wrong: Any = 1

    class Liar(RoutedAgent):
        @kind(strict=strict)
        async def on_text(self, message: Text, ctx: MessageContext) -> None:
            return wrong

    liar = Liar("A liar")
    ctx = context(is_rpc=kind is not event)
    if strict:
        with pytest.raises(ValueError, match="Return type <class 'int'>"):
            await liar.on_message(Text("a"), ctx)
    else:
        assert await liar.on_message(Text("a"), ctx) == (None if kind is event else 1)
        assert "Return type <class 'int'>" in caplog.text


async def test_a_method_that_is_called_with_another_type_refuses() -> None:
    number: Any = Number(1)
    with pytest.raises(CantHandleException, match="Message type"):
        await Router.c_never(Router(), number, context())


def context(*, is_rpc: bool = True) -> MessageContext:
    return MessageContext(None, None, is_rpc, CancellationToken(), "m")


def test_a_method_without_annotations_is_an_error_of_its_class() -> None:
    async def listed(self: Any, message: list[Text], ctx: MessageContext) -> None: ...

    hints = listed.__annotations__
    unchecked: Any = message_handler
    for name, text in (
        ("", "Message type not found"),
        ("return", "return parameter not found"),
        ("message", "message parameter not found"),
    ):
        hints.pop(name, None)
        with pytest.raises(AssertionError, match=text):
            unchecked(listed)
    with pytest.raises(ValueError, match="Invalid arguments"):
        unchecked(1)


@pytest.mark.behaviour("core.closure")
@pytest.mark.parametrize("policy", ["error", "warn", "ignore"])
async def test_a_closure_and_a_message_of_another_type(policy: Any) -> None:
    runtime = SingleThreadedAgentRuntime()

    async def closure(agent: ClosureContext, message: Text, ctx: MessageContext) -> str:
        return "called"

    await ClosureAgent.register_closure(runtime, "c", closure, unknown_type_policy=policy)
    runtime.start()
    call = runtime.send_message(Number(1), AgentId("c"))
    if policy == "error":
        with pytest.raises(CantHandleException, match="not in target types"):
            await call
    elif policy == "warn":
        with pytest.warns(UserWarning, match="not in target types"):
            assert await call is None
    else:
        assert await call == "called"
    await runtime.stop()
    state = await runtime.save_state()
    await runtime.load_state(state)
    assert state == {"c/default": {}}


async def test_closures_of_another_form_are_refused_when_they_are_registered() -> None:
    runtime = SingleThreadedAgentRuntime()

    async def short(message: Text) -> None: ...

    async def untyped(agent: ClosureContext, message: Text, ctx: MessageContext) -> None: ...

    del untyped.__annotations__["message"]
    register: Any = ClosureAgent.register_closure
    for closure, text in ((short, "3 arguments"), (untyped, "message not found")):
        with pytest.raises(AssertionError, match=text):
            await register(runtime, "c", closure)
    with pytest.raises(RuntimeError, match="cannot be directly instantiated"):
        ClosureAgent("c", untyped)
