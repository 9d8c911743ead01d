"""Actors: routing, topics, responses, interventions, errors, state."""

import asyncio
import warnings
from dataclasses import dataclass

from autogen_core import (
    AgentId,
    AgentType,
    ClosureAgent,
    ClosureContext,
    DefaultInterventionHandler,
    DefaultSubscription,
    DefaultTopicId,
    DropMessage,
    MessageContext,
    RoutedAgent,
    SingleThreadedAgentRuntime,
    TopicId,
    TypeSubscription,
    default_subscription,
    event,
    message_handler,
    rpc,
)


@dataclass
class M:
    content: str


@dataclass
class N:
    value: int


warnings.simplefilter("ignore")  # of agents that get messages of other types
log = []


@default_subscription
class A(RoutedAgent):
    def __init__(self):
        super().__init__("an a")
        self.n = 0

    @message_handler
    async def h(self, message: M, ctx: MessageContext) -> M | None:
        self.n += 1
        log.append(
            f"{self.id} got {message.content} {ctx.is_rpc=} {ctx.topic_id=!s} {ctx.sender=!s}"
        )
        if message.content == "boom":
            raise ValueError("boom")
        if message.content == "chain":
            await self.publish_message(N(1), DefaultTopicId())
            r = await self.send_message(M("inner"), AgentId("b", "k"))
            log.append(f"chain got {r}")
        return M("re " + message.content) if ctx.is_rpc else None

    async def save_state(self):
        return {"n": self.n}

    async def load_state(self, s):
        self.n = s["n"]


@default_subscription
class B(RoutedAgent):
    def __init__(self):
        super().__init__("a b")

    @event
    async def e(self, message: N, ctx: MessageContext) -> None:
        log.append(f"{self.id} event {message.value} {ctx.topic_id}")

    @rpc
    async def r(self, message: M, ctx: MessageContext) -> M:
        log.append(f"{self.id} rpc {message.content} from {ctx.sender}")
        await asyncio.sleep(0)
        return M("b:" + message.content)


class H(DefaultInterventionHandler):
    async def on_send(self, message, *, message_context, recipient):
        log.append(f"on_send {message} -> {recipient}")
        if getattr(message, "content", "") == "drop":
            return DropMessage
        return message

    async def on_publish(self, message, *, message_context):
        log.append(f"on_publish {message} {message_context.topic_id}")
        return message

    async def on_response(self, message, *, sender, recipient):
        log.append(f"on_response {message} {sender} -> {recipient}")
        return message


async def main():
    rt = SingleThreadedAgentRuntime(intervention_handlers=[H()])
    print(await A.register(rt, "a", lambda: A()))
    await B.register(rt, "b", lambda: B())

    async def col(agent: ClosureContext, message: N, ctx: MessageContext) -> None:
        log.append(f"closure {agent.id} {message}")

    await ClosureAgent.register_closure(rt, "c", col, subscriptions=lambda: [DefaultSubscription()])
    rt.start()
    print(await rt.send_message(M("hi"), AgentId("a", "x")))
    print(await rt.send_message(M("chain"), AgentId("a", "x")))
    for bad in ("boom", "drop"):
        try:
            await rt.send_message(M(bad), AgentId("a", "x"))
        except Exception as e:
            print(type(e).__name__)
    for i in range(3):
        await rt.publish_message(M(f"p{i}"), DefaultTopicId(source=f"s{i % 2}"))
    await rt.publish_message(N(7), TopicId("b:direct", "q"))
    await rt.publish_message(N(8), TopicId("none", "q"))
    await asyncio.sleep(0.05)
    await rt.stop()
    print("\n".join(log))
    print(sorted(await states(rt)))
    for f in (
        lambda: AgentId("a b", "k"),
        lambda: TopicId("x y", "z"),
        lambda: AgentId.from_str("x"),
        lambda: TopicId.from_str("x"),
    ):
        try:
            f()
        except Exception as e:
            print(type(e).__name__, e)
    print(repr(AgentId("a", "k")), str(TopicId("t", "s")), DefaultTopicId(), AgentType("t"))
    for c in (
        lambda: rt.add_subscription(TypeSubscription("default", "a")),
        lambda: rt.remove_subscription("zz"),
        lambda: rt.stop(),
        lambda: rt.try_get_underlying_agent_instance(AgentId("a", "x"), B),
    ):
        try:
            await c()
        except Exception as e:
            print(type(e).__name__, e)
    m = await rt.agent_metadata(AgentId("a", "x"))
    print(m)


async def states(rt):
    return [f"{key}: {dict(value)}" for key, value in (await rt.save_state()).items()]


asyncio.run(main())
