"""Agents and teams made of the canonical form.

Above it: the engine and the command line. Each model client, tool and question to a person goes
through a `Wiring` with the path of the agent that uses it.
"""

from typing import Any, Final, assert_never

from teamrun.agents import AssistantAgent, BaseChatAgent, Handoff, UserProxyAgent
from teamrun.components.building.conditions import build_condition
from teamrun.components.building.wiring import PlainWiring, Wiring
from teamrun.components.definitions.teams import (
    AssistantDefinition,
    ContextDefinition,
    CustomDefinition,
    HandoffDefinition,
    ParticipantDefinition,
    RoundRobinDefinition,
    SelectorDefinition,
    TeamDefinition,
    UserProxyDefinition,
)
from teamrun.components.registry import Registry
from teamrun.context import (
    BufferedChatCompletionContext,
    ChatCompletionContext,
    HeadAndTailChatCompletionContext,
    TokenLimitedChatCompletionContext,
    UnboundedChatCompletionContext,
)
from teamrun.core.protocols import ChatAgent, Team
from teamrun.models.base import ChatCompletionClient
from teamrun.teams import BaseGroupChat, RoundRobinGroupChat, SelectorGroupChat

__all__ = ["build_team"]

_PLAIN: Final = PlainWiring()


def build_team(
    definition: TeamDefinition, registry: Registry, wiring: Wiring = _PLAIN
) -> BaseGroupChat:
    """A fresh team.

    Raises:
        DefinitionError: A model or tool that it names cannot be made here.
        MissingVariable: A text needs an environment variable that is not set here.
    """
    return _Builder(registry, wiring).team(registry.expanded(definition), definition.name)


class _Builder:
    def __init__(self, registry: Registry, wiring: Wiring) -> None:
        self._registry = registry
        self._wiring = wiring

    def team(self, definition: TeamDefinition, path: str) -> BaseGroupChat:
        """The team at a path."""
        participants = [
            self._participant(member, f"{path}/{member.name}") for member in definition.participants
        ]
        options = _given(
            name=definition.name,
            description=definition.description,
            max_turns=definition.max_turns,
            emit_team_events=definition.emit_team_events,
        )
        if definition.termination is not None:
            options["termination_condition"] = build_condition(definition.termination)
        match definition:
            case RoundRobinDefinition():
                return RoundRobinGroupChat(participants, **options)
            case SelectorDefinition():
                client = self._model(definition.model, "selector", f"{path}/selector")
                options |= _selector_options(definition, client)
                return SelectorGroupChat(participants, client, **options)
            case _:
                assert_never(definition)

    def _participant(self, definition: ParticipantDefinition, path: str) -> ChatAgent | Team:
        match definition:
            case AssistantDefinition():
                return self._assistant(definition, path)
            case UserProxyDefinition():
                ask = self._wiring.input(path, None, definition)
                options = _given(description=definition.description, input_func=ask)
                return UserProxyAgent(definition.name, **options)
            case CustomDefinition():
                return self._wiring.agent(path, self._own(definition, path))
            case RoundRobinDefinition() | SelectorDefinition():
                return self.team(definition, path)
            case _:
                assert_never(definition)

    def _assistant(self, definition: AssistantDefinition, path: str) -> AssistantAgent:
        client = self._model(definition.model, definition.name, path)
        options = _given(
            description=definition.description,
            reflect_on_tool_use=definition.reflect_on_tool_use,
            max_tool_iterations=definition.max_tool_iterations,
            tool_call_summary_format=definition.tool_call_summary_format,
            tool_choice=definition.tool_choice,
            model_client_stream=definition.model_client_stream,
            metadata=definition.metadata,
        )
        if definition.system_message is not None:
            options["system_message"] = definition.system_message or None
        if definition.model_context is not None:
            options["model_context"] = _context(definition.model_context, client)
        tools = [self._wiring.tool(path, self._registry.tool(name)) for name in definition.tools]
        return AssistantAgent(
            definition.name,
            client,
            tools=tools or None,
            handoffs=[_handoff(each) for each in definition.handoffs] or None,
            **options,
        )

    def _own(self, definition: CustomDefinition, path: str) -> BaseChatAgent:
        options = _given(description=definition.description)
        if (profile := definition.model) is not None:
            client = self._registry.model_client(profile).for_agent(definition.name)
            options["model_client"] = self._wiring.inner_model(path, profile, client)
        return self._registry.agent(definition.agent, name=definition.name, **options)

    def _model(self, profile: str, agent: str, path: str) -> ChatCompletionClient:
        client = self._registry.model_client(profile).for_agent(agent)
        return self._wiring.model(path, profile, client)


def _given(**options: Any) -> dict[str, Any]:
    """The options that are not None: the rest is left to the class."""
    return {name: value for name, value in options.items() if value is not None}


def _selector_options(
    definition: SelectorDefinition, client: ChatCompletionClient
) -> dict[str, Any]:
    options = _given(
        selector_prompt=definition.selector_prompt,
        allow_repeated_speaker=definition.allow_repeated_speaker,
        max_selector_attempts=definition.max_selector_attempts,
        model_client_streaming=definition.model_client_streaming,
    )
    if definition.model_context is not None:
        options["model_context"] = _context(definition.model_context, client)
    return options


def _handoff(definition: HandoffDefinition) -> Handoff:
    return Handoff.model_validate(definition.model_dump(exclude_none=True))


def _context(definition: ContextDefinition, client: ChatCompletionClient) -> ChatCompletionContext:
    sizes = definition.model_dump(exclude={"type"}, exclude_none=True)
    match definition.type:
        case "unbounded":
            return UnboundedChatCompletionContext()
        case "buffered":
            return BufferedChatCompletionContext(**sizes)
        case "head_and_tail":
            return HeadAndTailChatCompletionContext(**sizes)
        case "token_limited":
            return TokenLimitedChatCompletionContext(client, **sizes)
        case _:
            assert_never(definition.type)
