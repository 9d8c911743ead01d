"""Ids, topics, subscriptions, contexts, and the registry."""

import asyncio
from typing import Any

import pytest

from teamrun.core.actors import (
    AgentId,
    AgentInstantiationContext,
    AgentType,
    CantHandleException,
    ClosureAgent,
    ClosureContext,
    DefaultSubscription,
    DefaultTopicId,
    MessageContext,
    MessageHandlerContext,
    SingleThreadedAgentRuntime,
    SubscriptionInstantiationContext,
    TopicId,
    TypePrefixSubscription,
    TypeSubscription,
)


@pytest.mark.behaviour("core.ids", "core.ids.one_part")
def test_an_agent_id_has_a_type_and_a_key() -> None:
    assert AgentId("a", "k") == AgentId(AgentType("a"), "k") == AgentId.from_str("a/k")
    assert AgentId("a").key == "default"
    assert (str(AgentId("a", "k/l")), AgentId.from_str("a/k/l").key) == ("a/k/l", "k/l")
    assert repr(AgentId("a", "k")) == 'AgentId(type="a", key="k")'
    assert len({AgentId("a", "k"), AgentId("a", "k"), AgentId("a", "l")}) == 2


@pytest.mark.behaviour("core.ids", "core.ids.one_part")
def test_a_topic_has_a_type_and_a_source() -> None:
    assert TopicId("t").source == "default"
    assert str(TopicId.from_str("a:b=c/d/e")) == "a:b=c/d/e"
    assert TopicId("default", "default") == DefaultTopicId() == DefaultTopicId("default", None)
    assert DefaultTopicId("t", "") == TopicId("t", "")
    assert len({TopicId("default"), DefaultTopicId()}) == 1
    assert TopicId("a") != "a/default"


@pytest.mark.behaviour("core.ids")
@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: AgentId("a b", "k"), "Invalid agent type: a b"),
        (lambda: AgentId("a\n", "k"), "Invalid agent type"),
        (lambda: AgentId.from_str("a"), "Invalid agent id: a"),
        (lambda: TopicId("a b"), "Invalid topic type: a b"),
        (lambda: TopicId.from_str("a"), "Invalid topic id: a"),
    ],
)
def test_other_characters_are_refused(make: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        make()


def test_subscriptions_are_equal_by_id_or_by_what_they_do() -> None:
    plain, prefix = TypeSubscription("t", "a", "1"), TypePrefixSubscription("t", "a", "2")

    assert plain == TypeSubscription("t", AgentType("a")) == DefaultSubscription("t", "a")
    assert plain == TypeSubscription("other", "b", "1")
    assert plain != prefix
    assert prefix == TypePrefixSubscription("t", AgentType("a"))
    assert plain != "1"
    assert (plain.topic_type, prefix.topic_type_prefix, plain.agent_type) == ("t", "t", "a")


@pytest.mark.behaviour("core.subscriptions")
def test_a_subscription_maps_the_source_of_its_topics_to_the_key() -> None:
    plain, prefix = TypeSubscription("t", "a"), TypePrefixSubscription("t:", "a")

    assert plain.map_to_agent(TopicId("t", "s")) == AgentId("a", "s")
    default = DefaultSubscription(agent_type="a")
    assert default.map_to_agent(TopicId("default", "s")) == AgentId("a", "s")
    assert prefix.map_to_agent(TopicId("t:u", "s")) == AgentId("a", "s")
    for subscription in (plain, prefix):
        with pytest.raises(CantHandleException, match="TopicId does not match the subscription"):
            subscription.map_to_agent(TopicId("other"))


@pytest.mark.behaviour("core.subscriptions")
async def test_a_subscription_is_added_once_and_removed_by_its_id() -> None:
    runtime = SingleThreadedAgentRuntime()
    subscription = TypeSubscription("t", "a")
    await runtime.add_subscription(subscription)
    with pytest.raises(ValueError, match="Subscription already exists"):
        await runtime.add_subscription(TypeSubscription("t", "a"))
    await runtime.remove_subscription(subscription.id)
    with pytest.raises(ValueError, match="Subscription does not exist"):
        await runtime.remove_subscription(subscription.id)


@pytest.mark.parametrize(
    "call",
    [
        MessageHandlerContext.agent_id,
        AgentInstantiationContext.current_agent_id,
        AgentInstantiationContext.current_runtime,
        SubscriptionInstantiationContext.agent_type,
    ],
)
def test_a_context_outside_of_its_call_is_an_error(call: Any) -> None:
    with pytest.raises(RuntimeError):
        call()


def test_a_default_subscription_needs_a_type_outside_of_a_registration() -> None:
    with pytest.raises(CantHandleException, match="agent_type is not specified"):
        DefaultSubscription()


async def noop(agent: ClosureContext, message: str, ctx: MessageContext) -> str:
    return agent.id.key


@pytest.mark.behaviour("core.registry")
async def test_the_registry_finds_types_by_name_topic_and_tag() -> None:
    runtime = SingleThreadedAgentRuntime()
    for name, tags in (("coder", ["python", "sql"]), ("writer", ["prose"]), ("critic", [])):
        await runtime.register_factory(name, lambda: ClosureAgent("", noop), tags=tags)
    await runtime.add_subscription(TypeSubscription("drafts", "critic"))
    await runtime.add_subscription(TypeSubscription("drafts", "writer"))

    def found(**by: Any) -> list[str]:
        return [each.agent_type.type for each in runtime.registry.find(**by)]

    assert found() == ["coder", "writer", "critic"]
    assert found(type="coder") == found(type=AgentType("coder")) == found(tag="sql") == ["coder"]
    assert found(topic="drafts") == found(topic=TopicId("drafts", "x")) == ["writer", "critic"]
    assert found(topic="drafts", tag="prose") == ["writer"]
    assert found(tag="cobol") == found(topic="none") == []


@pytest.mark.behaviour("core.instances")
async def test_messages_to_a_type_go_to_the_instance_with_the_fewest_open_messages() -> None:
    runtime = SingleThreadedAgentRuntime()
    gate = asyncio.Event()

    async def wait(agent: ClosureContext, message: str, ctx: MessageContext) -> str:
        if message != "quick":
            await gate.wait()
        return agent.id.key

    worker = await runtime.register_factory(
        "worker", lambda: ClosureAgent("", wait), instances=3, tags={"any"}
    )
    runtime.start()

    async def send(message: str) -> "asyncio.Task[str]":
        task = asyncio.create_task(runtime.send_message(message, worker))
        await asyncio.sleep(0)
        return task

    slow = [await send("slow") for _ in range(2)]
    assert await (await send("quick")) == "3"
    assert [runtime.registry.load(AgentId("worker", key)) for key in "123"] == [1, 1, 0]
    assert await (await send("quick")) == "3"
    slow += [await send("slow") for _ in range(2)]
    gate.set()

    assert await asyncio.gather(*slow) == ["1", "2", "3", "1"]
    assert runtime.registry.least_loaded("worker") == AgentId("worker", "1")
    await runtime.stop()


async def test_objects_of_one_type_share_its_messages_too() -> None:
    runtime = SingleThreadedAgentRuntime()
    await runtime.register_factory("one", lambda: ClosureAgent("", noop))
    assert runtime.registry.least_loaded("one") == AgentId("one", "default")


async def test_wrong_registrations_name_the_argument() -> None:
    runtime = SingleThreadedAgentRuntime()
    register: Any = runtime.register_factory
    for wrong, text in (({"instances": 0}, "`instances`"), ({"tags": "sql"}, "`tags`")):
        with pytest.raises(ValueError, match=text):
            await register("a", lambda: ClosureAgent("", noop), **wrong)
    with pytest.raises(LookupError, match="Registered types: none"):
        runtime.registry.least_loaded("a")
