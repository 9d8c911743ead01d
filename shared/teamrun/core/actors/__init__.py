"""Actors: agents with addresses that exchange messages through a runtime.

For programs that use `autogen_core`, or actors of their own. Teams and runs do not need them.
"""

from typing import TYPE_CHECKING

from teamrun.forwarding import forwarding

if TYPE_CHECKING:
    from teamrun.core.actors.agent import AgentProxy, BaseAgent
    from teamrun.core.actors.closure import ClosureAgent, ClosureContext
    from teamrun.core.actors.contexts import (
        AgentInstantiationContext,
        MessageContext,
        MessageHandlerContext,
        SubscriptionInstantiationContext,
    )
    from teamrun.core.actors.errors import (
        ActorError,
        CantHandleException,
        MessageDroppedException,
        NotAccessibleError,
        UndeliverableException,
    )
    from teamrun.core.actors.ids import (
        AgentId,
        AgentMetadata,
        AgentType,
        DefaultTopicId,
        TopicId,
    )
    from teamrun.core.actors.interventions import (
        DefaultInterventionHandler,
        DropMessage,
        InterventionHandler,
    )
    from teamrun.core.actors.protocols import Agent, AgentRuntime, Subscription
    from teamrun.core.actors.registry import AgentRegistry, RegisteredType
    from teamrun.core.actors.routing import RoutedAgent, event, message_handler, rpc
    from teamrun.core.actors.runtime import SingleThreadedAgentRuntime
    from teamrun.core.actors.subscriptions import (
        DefaultSubscription,
        TypePrefixSubscription,
        TypeSubscription,
        default_subscription,
        type_subscription,
    )

__all__ = [
    "ActorError",
    "Agent",
    "AgentId",
    "AgentInstantiationContext",
    "AgentMetadata",
    "AgentProxy",
    "AgentRegistry",
    "AgentRuntime",
    "AgentType",
    "BaseAgent",
    "CantHandleException",
    "ClosureAgent",
    "ClosureContext",
    "DefaultInterventionHandler",
    "DefaultSubscription",
    "DefaultTopicId",
    "DropMessage",
    "InterventionHandler",
    "MessageContext",
    "MessageDroppedException",
    "MessageHandlerContext",
    "NotAccessibleError",
    "RegisteredType",
    "RoutedAgent",
    "SingleThreadedAgentRuntime",
    "Subscription",
    "SubscriptionInstantiationContext",
    "TopicId",
    "TypePrefixSubscription",
    "TypeSubscription",
    "UndeliverableException",
    "default_subscription",
    "event",
    "message_handler",
    "rpc",
    "type_subscription",
]

__getattr__, __dir__ = forwarding(
    __name__,
    {
        ".agent": ("AgentProxy", "BaseAgent"),
        ".closure": ("ClosureAgent", "ClosureContext"),
        ".contexts": (
            "AgentInstantiationContext",
            "MessageContext",
            "MessageHandlerContext",
            "SubscriptionInstantiationContext",
        ),
        ".errors": (
            "ActorError",
            "CantHandleException",
            "MessageDroppedException",
            "NotAccessibleError",
            "UndeliverableException",
        ),
        ".ids": ("AgentId", "AgentMetadata", "AgentType", "DefaultTopicId", "TopicId"),
        ".interventions": ("DefaultInterventionHandler", "DropMessage", "InterventionHandler"),
        ".protocols": ("Agent", "AgentRuntime", "Subscription"),
        ".registry": ("AgentRegistry", "RegisteredType"),
        ".routing": ("RoutedAgent", "event", "message_handler", "rpc"),
        ".runtime": ("SingleThreadedAgentRuntime",),
        ".subscriptions": (
            "DefaultSubscription",
            "TypePrefixSubscription",
            "TypeSubscription",
            "default_subscription",
            "type_subscription",
        ),
    },
)
