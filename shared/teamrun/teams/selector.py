"""A team in which a model or a function selects the next speaker."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Self, TypeAlias

from teamrun import teams
from teamrun.conditions.base import TerminationCondition
from teamrun.context.base import ChatCompletionContext, added
from teamrun.context.unbounded import UnboundedChatCompletionContext, known_messages
from teamrun.core import actors
from teamrun.core.behaviour import has_behaviour
from teamrun.core.cancellation import CancellationToken
from teamrun.core.checks import checked_count
from teamrun.core.emission import Emit
from teamrun.core.protocols import AnyMessage, ChatAgent, Team
from teamrun.core.saved import read_state
from teamrun.json_types import JsonMapping
from teamrun.messages import (
    AssistantMessage,
    BaseAgentEvent,
    BaseChatMessage,
    CreateResult,
    HandoffMessage,
    LLMMessage,
    ModelClientStreamingChunkEvent,
    SelectorEvent,
    SystemMessage,
    UserMessage,
)
from teamrun.messages.made import made_question
from teamrun.models.base import ChatCompletionClient
from teamrun.models.families import ModelFamily
from teamrun.teams.participant import Turn
from teamrun.teams.selection import (
    DEFAULT_SELECTOR_PROMPT,
    History,
    around_history,
    feedback_on,
    mentioned,
    mentioned_in_behaviour_1,
    roles_text,
    spoken,
)
from teamrun.teams.with_model import TeamWithModel

__all__ = ["CandidateFunc", "SelectorFunc", "SelectorGroupChat"]

logger = logging.getLogger(__name__)

SelectorFunc: TypeAlias = Callable[[Sequence[AnyMessage]], str | Awaitable[str | None] | None]
"""Selects a speaker from the messages and events; None leaves the choice to the model."""
CandidateFunc: TypeAlias = Callable[
    [Sequence[AnyMessage]], Sequence[str] | Awaitable[Sequence[str]]
]
"""Selects the candidates for the model."""


class SelectorGroupChat(TeamWithModel):
    """A team in which a model selects the next speaker.

    The usage of the selections counts for `TokenUsageTermination`. With `emit_team_events`, each
    answer of the model is yielded as a `SelectorEvent` with its usage. See `BaseGroupChat` for the
    rest.

    Args:
        participants: At least two agents or teams.
        model_client: The model that chooses.
        name: The team's name; by default that of the class.
        description: The team's purpose.
        termination_condition: When to stop; by default at `max_turns`, or never.
        max_turns: Maximum number of turns of a run.
        custom_message_types: Classes of messages that `load_state` requires.
        selector_prompt: The question; `{roles}`, `{participants}` and `{history}` are filled in.
        allow_repeated_speaker: Allow two turns of one speaker in a row.
        max_selector_attempts: Maximum number of model calls; after that the previous speaker
            continues if it is a candidate, else the first candidate speaks.
        selector_func: Selects in place of the model; if it returns None, the model does.
        candidate_func: Selects the candidates for the model; `allow_repeated_speaker` has no
            effect then.
        emit_team_events: Yield the selected speaker before each turn, and the model's answers.
        model_client_streaming: Take the model's answer as a stream; its pieces are yielded with
            `emit_team_events`.
        model_context: Which part of the conversation the model sees; all of it by default.
        runtime: Accepted as in AutoGen, and not used: a team delivers its messages itself.
        agents: Another name of `participants`.
        system_message: Another name of `selector_prompt`.

    Raises:
        ValueError: There are fewer than two participants, or two have one name.
        TypeError: There is no `model_client`.
    """

    role = "selector"

    def __init__(
        self,
        participants: Sequence[ChatAgent | Team] | None = None,
        model_client: ChatCompletionClient | None = None,
        *,
        name: str | None = None,
        description: str | None = None,
        termination_condition: TerminationCondition | None = None,
        max_turns: int | None = None,
        custom_message_types: Sequence[type[BaseAgentEvent | BaseChatMessage]] = (),
        selector_prompt: str = DEFAULT_SELECTOR_PROMPT,
        allow_repeated_speaker: bool = False,
        max_selector_attempts: int = 3,
        selector_func: SelectorFunc | None = None,
        candidate_func: CandidateFunc | None = None,
        emit_team_events: bool = False,
        runtime: "actors.AgentRuntime | None" = None,
        model_client_streaming: bool = False,
        model_context: ChatCompletionContext | None = None,
        agents: Sequence[ChatAgent | Team] | None = None,
        system_message: str | None = None,
    ) -> None:
        super().__init__(
            participants,
            model_client,
            name=name,
            description=description,
            termination_condition=termination_condition,
            max_turns=max_turns,
            custom_message_types=custom_message_types,
            emit_team_events=emit_team_events,
            agents=agents,
        )
        if len(self._seats) < 2:
            raise ValueError("At least two participants are required for SelectorGroupChat.")
        self._selector_prompt = system_message or selector_prompt
        self._allow_repeated_speaker = allow_repeated_speaker
        self._max_selector_attempts = checked_count(
            max_selector_attempts, parameter="max_selector_attempts"
        )
        self._selector_func = selector_func
        self._candidate_func = candidate_func
        self._model_client_streaming = model_client_streaming
        self._model_context = model_context or UnboundedChatCompletionContext()
        self._names = tuple(self._seats)
        self._roles = roles_text((seat.name, seat.description) for seat in self._seats.values())

        self._begin_order()

    def copy_with(self, participants: Sequence[ChatAgent | Team]) -> Self:
        """A team like this one, before its first run, of other participants of the same names."""
        made = super().copy_with(participants)
        made._model_context = self._model_context.copied()
        return made

    def _begin_order(self) -> None:
        self._known = 0  # messages of the thread that the model context has
        self._history = History()
        self._previous_speaker: str | None = None
        self._chosen: str | None = None
        self._given: str | None = None

    def _give_turn(self, name: str) -> None:
        self._given = name

    async def _select_speaker(self, token: CancellationToken, emit: Emit[AnyMessage]) -> str:
        if self._given is not None:
            self._chosen = self._given
            return self._given
        if self._selector_func is not None:
            speaker = await self._speaker_by_function(self._selector_func)
            if speaker is not None:
                self._chosen = self._previous_speaker  # a function's choice is not remembered
                return speaker
        if self._candidate_func is not None:
            candidates = await self._candidates(self._candidate_func)
        elif self._allow_repeated_speaker:
            candidates = self._names
        else:
            candidates = tuple([name for name in self._names if name != self._previous_speaker])
        if len(candidates) == 1:
            self._chosen = candidates[0]
        else:
            self._chosen = await self._ask_model(candidates, token, emit)
        return self._chosen

    async def _speaker_by_function(self, select: SelectorFunc) -> str | None:
        speaker = select(self._thread)
        if isinstance(speaker, Awaitable):
            speaker = await speaker
        if speaker is not None and speaker not in self._seats:
            raise ValueError(
                f"Selector function returned an invalid speaker name: {speaker}. "
                f"Expected one of: {list(self._names)}."
            )
        return speaker

    async def _candidates(self, select: CandidateFunc) -> tuple[str, ...]:
        names = select(self._thread)
        if isinstance(names, Awaitable):
            names = await names
        names = [names] if isinstance(names, str) else list(dict.fromkeys(names or ()))
        if not names:
            raise ValueError(
                "Candidate function must return a non-empty list of participant names."
            )
        if any(name not in self._seats for name in names):
            raise ValueError(
                f"Candidate function returned invalid participant names: {names}. "
                f"Expected one of: {list(self._names)}."
            )
        return tuple(names)

    async def _ask_model(
        self, candidates: tuple[str, ...], token: CancellationToken, emit: Emit[AnyMessage]
    ) -> str:
        conversation = await self._question(candidates)
        has_rule = self._candidate_func is None and not self._allow_repeated_speaker
        previous = self._previous_speaker if has_rule else None
        for _ in range(self._max_selector_attempts):
            if self._model_client_streaming:
                result = await self._stream_answer(conversation, token, emit)
            else:
                result = await self._model_client.create(conversation, cancellation_token=token)
            if result is not None:
                self._count_usage(result.usage, is_seen=self._emit_team_events)
                if self._emit_team_events:
                    await emit(self._event_of(result))
            answer = result.content if result is not None else ""
            text = answer if isinstance(answer, str) else ""
            if text in candidates and text.isascii():  # as most models answer
                return text
            if has_behaviour(2):
                names = mentioned(spoken(text), self._names)
            else:
                names = mentioned_in_behaviour_1(text, self._names)
            feedback = feedback_on(names, candidates, previous=previous)
            if feedback is None:
                return names[0]
            conversation.append(AssistantMessage(content=spoken(text) or text, source="selector"))
            conversation.append(UserMessage(content=feedback, source="user"))
        return self._fallback(candidates)

    async def _question(self, candidates: tuple[str, ...]) -> list[LLMMessage]:
        context, thread = self._model_context, self._thread
        while self._known < len(thread):  # messages that the context does not have yet
            message = thread[self._known]
            self._known += 1
            if isinstance(message, HandoffMessage):
                for each in message.context:
                    await context.add_message(each)
            if not isinstance(message, BaseChatMessage):
                continue
            heard = message.to_model_message()
            if not added(context, heard):
                await context.add_message(heard)
        said = known_messages(context)
        history = self._history.text(await context.get_messages() if said is None else said)
        texts = around_history(self._selector_prompt, self._roles, candidates)
        prompt = history.join(texts)
        if ModelFamily.is_openai(self._model_client.model_info["family"]):
            return [SystemMessage(content=prompt)]
        # Many other models answer nothing to a system message alone.
        return [made_question(prompt)]

    async def _stream_answer(
        self, conversation: Sequence[LLMMessage], token: CancellationToken, emit: Emit[AnyMessage]
    ) -> CreateResult | None:
        result: CreateResult | None = None
        stream = self._model_client.create_stream(conversation, cancellation_token=token)
        async with aclosing(stream):
            async for piece in stream:
                if isinstance(piece, CreateResult):
                    result = piece
                elif self._emit_team_events:
                    await emit(
                        ModelClientStreamingChunkEvent(content=piece, source=self._manager_name)
                    )
        return result

    def _event_of(self, result: CreateResult) -> SelectorEvent:
        return SelectorEvent(
            content=str(result.content), source=self._manager_name, models_usage=result.usage
        )

    def _fallback(self, candidates: Sequence[str]) -> str:
        previous = self._previous_speaker
        may_go_on = previous in candidates or not has_behaviour(2)
        speaker = previous if previous is not None and may_go_on else candidates[0]
        logger.warning(
            "The model chose no speaker",
            extra={
                "action": "selector.fallback",
                "team": self._name,
                "attempts": self._max_selector_attempts,
                "speaker": speaker,
            },
        )
        return speaker

    def _turn_over(self, speaker: str, turn: Turn) -> None:
        self._previous_speaker, self._given = self._chosen, None

    async def _reset_order(self) -> None:
        await super()._reset_order()
        await self._model_context.clear()

    def _save_manager(self, common: JsonMapping) -> "teams.state.SelectorManagerState":
        return teams.state.SelectorManagerState(
            **common, previous_speaker=self._previous_speaker, chosen=self._chosen
        )

    async def _load_manager(self, state: JsonMapping) -> "teams.state.SelectorManagerState":
        manager = read_state(teams.state.SelectorManagerState, state, self._manager_name)
        self._previous_speaker, self._chosen = manager.previous_speaker, manager.chosen
        self._known = 0
        await self._model_context.clear()  # filled again from the thread
        return manager
