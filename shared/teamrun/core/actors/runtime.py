"""A runtime of actors in one event loop.

A library feature, for programs that use actors of their own: teams and durable runs do not need
it. Behaviour: `SingleThreadedAgentRuntime` of autogen-core 0.7.5, with these differences. A
dropped message counts as handled, so that `stop_when_idle` returns. A message that `stop` drops
raises `UndeliverableException` at its sender instead of leaving it to wait. Several intervention
handlers each get what the one before returned. A factory is called once for each key.
"""

import asyncio
import inspect
import logging
import uuid
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar, cast

from teamrun.core.actors.contexts import (
    AgentInstantiationContext,
    MessageContext,
    MessageHandlerContext,
)
from teamrun.core.actors.errors import MessageDroppedException, UndeliverableException
from teamrun.core.actors.ids import AgentId, AgentMetadata, AgentType, TopicId
from teamrun.core.actors.interventions import InterventionHandler, is_dropped, passed
from teamrun.core.actors.mailbox import Answered, Item, Mailbox, Published, Sent, settle
from teamrun.core.actors.protocols import Agent, Subscription
from teamrun.core.actors.registry import AgentRegistry
from teamrun.core.actors.subscriptions import Subscriptions
from teamrun.core.cancellation import CancellationToken

__all__ = ["SingleThreadedAgentRuntime"]

logger = logging.getLogger(__name__)

AgentT = TypeVar("AgentT", bound=Agent)
_NO_FACTORY = (
    "Agent factory was invoked for an agent instance that was not registered. This is likely due "
    "to the agent type being incorrectly subscribed to a topic. If this exception occurs when "
    "publishing a message to the DefaultTopicId, then it is likely that `skip_class_subscriptions` "
    "needs to be turned off when registering the agent."
)
_CHECK_SECONDS = 0.05


class SingleThreadedAgentRuntime:
    """Delivers messages to actors, in their order, from one queue.

    Each message is handled in a task of its own, so that handlers run concurrently. Agents are
    created by their factories at the first message to them, and kept.

    Args:
        intervention_handlers: See, change or drop messages; each gets what the one before returned.
        ignore_unhandled_exceptions: Whether an exception of a handler of a published message is
            only logged. Otherwise `process_next`, `stop` or `stop_when_idle` raises it. An
            exception of a handler of a sent message is raised at the sender.
    """

    def __init__(
        self,
        *,
        intervention_handlers: Sequence[InterventionHandler] | None = None,
        ignore_unhandled_exceptions: bool = True,
    ) -> None:
        self._interventions = tuple(intervention_handlers or ())
        self._ignores_exceptions = ignore_unhandled_exceptions
        self._subscriptions = Subscriptions()
        self._registry = AgentRegistry(self._subscriptions)
        self._agents: dict[AgentId, Agent] = {}
        self._creating: dict[AgentId, asyncio.Future[Agent]] = {}
        self._queue = Mailbox()
        self._runner: asyncio.Task[None] | None = None
        self._handling: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None

    @property
    def registry(self) -> AgentRegistry:
        """The agents by type, topic and tag, and how busy each is."""
        return self._registry

    @property
    def unprocessed_messages_count(self) -> int:
        """How many messages wait in the queue."""
        return len(self._queue)

    async def send_message(
        self,
        message: Any,
        recipient: AgentId | AgentType,
        *,
        sender: AgentId | None = None,
        cancellation_token: CancellationToken | None = None,
        message_id: str | None = None,
        timeout: float | None = None,
    ) -> Any:
        """Send a message to one agent, and await its response.

        Args:
            message: Any object; it is passed as it is.
            recipient: The agent. A type: its instance with the fewest open messages.
            sender: The agent that sends.
            cancellation_token: Ends the wait with `CancelledError`, and the handler can see it.
            message_id: By default a UUID.
            timeout: Seconds to wait for the response; by default no limit.

        Raises:
            ValueError: The timeout is negative or NaN.
            UndeliverableException: There is no such recipient, or the runtime was stopped.
            MessageDroppedException: An intervention handler dropped the message or the response.
            TimeoutError: There was no response in time; the handler's token is cancelled.
            Exception: What the handler raised.
        """
        if timeout is not None and not timeout >= 0:  # not `< 0`, which is false for NaN
            raise ValueError(f"timeout must be a number of seconds from 0, not {timeout}.")
        name = recipient.type
        if name not in self._registry:
            raise UndeliverableException(
                f"Recipient not found: no agents are registered as {name!r}."
            )
        if isinstance(recipient, AgentType):
            recipient = self._registry.least_loaded(recipient)
        token = CancellationToken()  # of its own, so that a timeout cancels nothing else
        if cancellation_token is not None:
            cancellation_token.add_callback(token.cancel)
        response = token.link_future(asyncio.get_running_loop().create_future())
        context = MessageContext(sender, None, True, token, message_id or str(uuid.uuid4()))
        self._queue.put(Sent(message, context, recipient, response))
        self._registry.opened(recipient)
        limit = asyncio.timeout(timeout)
        try:
            async with limit:
                return await response
        except TimeoutError as error:
            if not limit.expired():
                raise
            token.cancel()
            raise TimeoutError(f"{recipient} did not respond within {timeout:g} s.") from error
        finally:
            self._registry.closed(recipient)
            if cancellation_token is not None:
                cancellation_token.remove_callback(token.cancel)

    async def publish_message(
        self,
        message: Any,
        topic_id: TopicId,
        *,
        sender: AgentId | None = None,
        cancellation_token: CancellationToken | None = None,
        message_id: str | None = None,
    ) -> None:
        """Send a message to the agents that subscribe to a topic, except to the sender.

        Args:
            message: Any object; it is passed as it is.
            topic_id: The topic.
            sender: The agent that sends.
            cancellation_token: The handlers can see it.
            message_id: By default a UUID.

        Raises:
            UndeliverableException: The runtime has failed and takes no messages.
        """
        token = cancellation_token or CancellationToken()
        context = MessageContext(sender, topic_id, False, token, message_id or str(uuid.uuid4()))
        self._queue.put(Published(message, context, topic_id))

    async def process_next(self) -> None:
        """Deliver the next message, and wait for one if there is none.

        Raises:
            Exception: What the handler of a published message raised, unless these are ignored.
        """
        await self._process(self._queue)

    def start(self) -> None:
        """Deliver messages in the background, until `stop` or `stop_when_idle`.

        Raises:
            RuntimeError: It is already started.
        """
        if self._runner is not None:
            raise RuntimeError("Runtime is already started")
        self._runner = asyncio.create_task(self._run(self._queue))

    async def stop(self) -> None:
        """Deliver no more messages; handlers that are running go on.

        Raises:
            RuntimeError: It is not started.
            Exception: See `process_next`.
        """
        runner, queue = self._started(), self._queue
        self._runner, self._queue = None, Mailbox()
        queue.close()
        await runner

    async def stop_when_idle(self) -> None:
        """Stop when all messages are handled, also those that their handlers send.

        Raises:
            RuntimeError: It is not started.
            Exception: See `process_next`.
        """
        self._started()
        await self._queue.until_idle()
        await self.stop()

    async def stop_when(self, condition: Callable[[], bool]) -> None:
        """Stop when a condition is met; it is checked twenty times per second.

        Raises:
            RuntimeError: It is not started.
            Exception: See `process_next`.
        """
        self._started()
        while not condition():  # noqa: ASYNC110 - any function, not an event
            await asyncio.sleep(_CHECK_SECONDS)
        await self.stop()

    async def close(self) -> None:
        """Stop, if it is started, and close all agents."""
        if self._runner is not None:
            await self.stop()
        for agent in self._agents.values():
            await agent.close()

    async def register_factory(
        self,
        type: str | AgentType,
        agent_factory: Callable[[], AgentT | Awaitable[AgentT]],
        *,
        expected_class: type[AgentT] | None = None,
        instances: int | None = None,
        tags: Collection[str] = (),
    ) -> AgentType:
        """Name a factory. It is called at the first message for each key.

        Args:
            type: The name: letters, digits, `_`, `-` and `.`.
            agent_factory: Creates an agent, sync or async.
            expected_class: The class that the agent must have.
            instances: How many instances, with the keys `1`, `2` and so on, share the messages that
                are sent to the type itself. By default these go to the key `default`.
            tags: Words with which `registry.find` finds the type.

        Raises:
            ValueError: The name is in use; or, at a message, the agent is of another class.
        """
        agent_type = AgentType(type) if isinstance(type, str) else type

        async def create() -> Agent:
            made = agent_factory()
            agent = await made if inspect.isawaitable(made) else made
            if expected_class is not None and not isinstance(agent, expected_class):
                raise ValueError(
                    "Factory registered using the wrong type: expected "
                    f"{expected_class.__name__}, got {agent.__class__.__name__}"
                )
            return cast("Agent", agent)

        self._registry.add_factory(agent_type, create, instances=instances, tags=tags)
        return agent_type

    async def register_agent_instance(self, agent_instance: Agent, agent_id: AgentId) -> AgentId:
        """Give an agent that exists its address.

        Raises:
            ValueError: The id is in use, or the type belongs to a factory or to another class.
        """
        if agent_id in self._agents:
            raise ValueError(f"Agent with id {agent_id} already exists.")
        self._registry.add_instance(agent_instance, agent_id)
        await agent_instance.bind_id_and_runtime(agent_id, self)
        self._agents[agent_id] = agent_instance
        return agent_id

    async def add_subscription(self, subscription: Subscription) -> None:
        """Deliver the messages of a topic from now on.

        Raises:
            ValueError: There is an equal subscription.
        """
        self._subscriptions.add(subscription)

    async def remove_subscription(self, id: str) -> None:
        """End a subscription.

        Raises:
            ValueError: There is none of this id.
        """
        self._subscriptions.remove(id)

    async def get(
        self, id_or_type: AgentId | AgentType | str, /, key: str = "default", *, lazy: bool = True
    ) -> AgentId:
        """The id of an agent; with `lazy=False` the agent is created now."""
        is_id = isinstance(id_or_type, AgentId)
        agent_id = id_or_type if is_id else AgentId(id_or_type, key)
        if not lazy:
            await self._agent(agent_id)
        return agent_id

    async def try_get_underlying_agent_instance(
        self, id: AgentId, type: type[AgentT] = Agent
    ) -> AgentT:
        """The agent itself, which is created if need be.

        Raises:
            LookupError: Nothing is registered under the type.
            TypeError: It is of another class.
        """
        agent = await self._agent(id)
        if not isinstance(agent, type):
            raise TypeError(
                f"Agent with name {id.type} is not of type {type.__name__}. It is of type "
                f"{agent.__class__.__name__}"
            )
        return agent

    async def agent_metadata(self, agent: AgentId) -> AgentMetadata:
        """The address and description of an agent."""
        return (await self._agent(agent)).metadata

    async def agent_save_state(self, agent: AgentId) -> Mapping[str, Any]:
        """The state of one agent."""
        return await (await self._agent(agent)).save_state()

    async def agent_load_state(self, agent: AgentId, state: Mapping[str, Any]) -> None:
        """Load the state of one agent."""
        await (await self._agent(agent)).load_state(state)

    async def save_state(self) -> Mapping[str, Any]:
        """The states of all agents that exist, by their ids as text; no subscriptions."""
        return {
            str(agent_id): dict(await agent.save_state())
            for agent_id, agent in list(self._agents.items())
        }

    async def load_state(self, state: Mapping[str, Any]) -> None:
        """Load the states of all agents whose type is registered; they are created if need be."""
        for text, saved in state.items():
            agent_id = AgentId.from_str(text)
            if agent_id.type in self._registry:
                await (await self._agent(agent_id)).load_state(saved)

    def _started(self) -> "asyncio.Task[None]":
        if self._runner is None:
            raise RuntimeError("Runtime is not started")
        return self._runner

    async def _run(self, queue: Mailbox) -> None:
        while not queue.is_closed:
            await self._process(queue)

    async def _process(self, queue: Mailbox) -> None:
        self._raise_failure(queue)
        item = await queue.get()
        if item is None:
            self._raise_failure(queue)
            return
        try:
            is_passed = await self._intervene(item)
        except (Exception, asyncio.CancelledError) as error:
            _report(item, error)
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
                queue.done()
                raise  # this runner is cancelled, and not what the handler waited for
            is_passed = False
        if not is_passed:
            queue.done()
            return
        handling = asyncio.create_task(self._handle(item, queue))
        self._handling.add(handling)
        handling.add_done_callback(self._handling.discard)
        await asyncio.sleep(0)  # the handler begins before the next message is taken

    def _raise_failure(self, queue: Mailbox) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            queue.close()
            raise failure

    async def _intervene(self, item: Item) -> bool:
        """Whether the intervention handlers pass the message on."""
        for handler in self._interventions:
            match item:
                case Sent():
                    value = await handler.on_send(
                        item.message, message_context=item.context, recipient=item.recipient
                    )
                    method = "on_send"
                case Published():
                    value = await handler.on_publish(item.message, message_context=item.context)
                    method = "on_publish"
                case Answered():
                    value = await handler.on_response(
                        item.message, sender=item.sender, recipient=item.recipient
                    )
                    method = "on_response"
            if is_dropped(value):
                if not isinstance(item, Published):
                    text = f"An intervention handler dropped the message in {method}."
                    settle(item.response, error=MessageDroppedException(text))
                return False
            item.message = passed(value, item.message, method)
        return True

    async def _handle(self, item: Item, queue: Mailbox) -> None:
        try:
            match item:
                case Sent():
                    await self._deliver(item, queue)
                case Published():
                    await self._broadcast(item)
                case Answered():
                    settle(item.response, item.message)
        finally:
            queue.done()

    async def _deliver(self, item: Sent, queue: Mailbox) -> None:
        try:
            response = await self._call(item.recipient, item.message, item.context)
        except BaseException as error:
            settle(item.response, error=error)
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise
            return
        answered = Answered(response, item.recipient, item.context.sender, item.response)
        if queue.is_closed:
            settle(item.response, response)
        else:
            queue.put(answered)

    async def _broadcast(self, item: Published) -> None:
        calls: list[Coroutine[Any, Any, None]] = [
            self._hear(recipient, item)
            for recipient in self._subscriptions.recipients(item.topic)
            if recipient != item.context.sender
        ]
        await asyncio.gather(*calls)

    async def _hear(self, recipient: AgentId, item: Published) -> None:
        self._registry.opened(recipient)
        try:
            await self._call(recipient, item.message, item.context)
        except (Exception, asyncio.CancelledError) as error:
            logger.exception(
                "A handler of a published message failed",
                extra={"action": "actors.handler_failed", "agent": str(recipient)},
            )
            if not self._ignores_exceptions:
                self._failure = self._failure or error
        finally:
            self._registry.closed(recipient)

    async def _call(self, agent_id: AgentId, message: Any, context: MessageContext) -> Any:
        agent = await self._agent(agent_id)
        own = replace(context, runtime=self, recipient=agent_id)
        with MessageHandlerContext.populate_context(agent_id):
            return await agent.on_message(message, own)

    async def _agent(self, agent_id: AgentId) -> Agent:
        if agent_id in self._agents:
            return self._agents[agent_id]
        factory = self._registry.registered(agent_id.type).factory
        if factory is None:
            raise RuntimeError(_NO_FACTORY)
        if agent_id in self._creating:
            # Not awaited itself: the cancellation of one who waits would reach all the others.
            await asyncio.wait([shared := self._creating[agent_id]])
            # If the task that created it was cancelled, one that waited creates it.
            return await self._agent(agent_id) if shared.cancelled() else shared.result()
        creating = self._creating[agent_id] = asyncio.get_running_loop().create_future()
        try:
            with AgentInstantiationContext.populate_context((self, agent_id)):
                made = factory()
                agent = await made if inspect.isawaitable(made) else made
        except BaseException as error:
            settle(creating, error=error)
            if not creating.cancelled():
                creating.exception()  # asyncio would log that nothing else awaits it
            raise
        finally:
            del self._creating[agent_id]
        self._agents[agent_id] = agent
        settle(creating, agent)
        return agent


def _report(item: Item, error: BaseException) -> None:
    """Give an intervention handler's exception to the sender; one who published has left."""
    if isinstance(item, Published):
        logger.error(
            "An intervention handler failed",
            exc_info=error,
            extra={"action": "actors.intervention_failed", "topic": str(item.topic)},
        )
    else:
        settle(item.response, error=error)
