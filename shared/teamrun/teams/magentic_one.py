"""A team whose orchestrator plans, assigns each step to a member, and revises the plan."""

from collections.abc import Sequence
from typing import Any, Final

from teamrun import teams
from teamrun.agents.assistant_checks import ImagelessView
from teamrun.conditions.base import TerminationCondition
from teamrun.core import actors
from teamrun.core.cancellation import CancellationToken
from teamrun.core.checks import checked_count
from teamrun.core.emission import Emit
from teamrun.core.protocols import AnyMessage, ChatAgent
from teamrun.core.saved import read_state
from teamrun.errors import ModelError
from teamrun.json_types import JsonMapping, JsonObject
from teamrun.messages import (
    AssistantMessage,
    BaseAgentEvent,
    BaseChatMessage,
    LLMMessage,
    TextMessage,
    UserMessage,
)
from teamrun.models.base import ChatCompletionClient
from teamrun.teams import ledger
from teamrun.teams.participant import Turn
from teamrun.teams.selection import roles_text
from teamrun.teams.with_model import TeamWithModel

__all__ = ["MagenticOneGroupChat"]

_ENOUGH: Final = ("Max rounds reached.", "max_turns")
_ATTEMPTS: Final = 10
"""How often the model is asked for one progress ledger, as in AutoGen."""


class MagenticOneGroupChat(TeamWithModel):
    """A team that an orchestrator, which is a model, leads through a task.

    The orchestrator collects facts and makes a plan, the task ledger, which is the first message
    after the task. Before each turn it writes a progress ledger, as JSON: whether the task is
    done, whether the team gets on, and who gets which instruction. After `max_stalls` turns
    without progress, the facts and the plan are revised, and the agents start again, without their
    history, from the new task ledger. At the end, the orchestrator writes the answer.

    The ledgers' usage counts for `TokenUsageTermination`. The condition sees the messages of
    agents only. Each new task begins with a new plan, so a run needs one. As in AutoGen, the task
    is part of the output of `run` in any case. See `BaseGroupChat` for the rest.

    Args:
        participants: Agents; teams are not accepted.
        model_client: The model of the orchestrator.
        name: The team's name; by default that of the class.
        description: The team's purpose.
        termination_condition: When to stop without an answer; by default never.
        max_turns: Maximum number of progress ledgers after the first one; then the orchestrator
            writes the answer. None: no limit.
        max_stalls: Turns without progress after which the plan is revised.
        final_answer_prompt: The request for the answer; `{task}` is filled in.
        custom_message_types: Classes of messages that `load_state` requires.
        emit_team_events: Yield the selected speaker before each turn.
        runtime: Accepted as in AutoGen, and not used: a team delivers its messages itself.
        agents: Another name of `participants`.

    Raises:
        TypeError: A participant is a team, or there is no `model_client`.
        ValueError: There is no participant, or two have one name.
    """

    _manager_class = "MagenticOneOrchestrator"
    role = "orchestrator"

    def __init__(
        self,
        participants: Sequence[ChatAgent] | None = None,
        model_client: ChatCompletionClient | None = None,
        *,
        name: str | None = None,
        description: str | None = None,
        termination_condition: TerminationCondition | None = None,
        max_turns: int | None = 20,
        max_stalls: int = 3,
        final_answer_prompt: str = ledger.FINAL_ANSWER,
        custom_message_types: Sequence[type[BaseAgentEvent | BaseChatMessage]] = (),
        emit_team_events: bool = False,
        runtime: "actors.AgentRuntime | None" = None,
        agents: Sequence[ChatAgent] | None = None,
    ) -> None:
        super().__init__(
            participants,
            model_client,
            name=name,
            description=description,
            termination_condition=termination_condition,
            custom_message_types=custom_message_types,
            emit_team_events=emit_team_events,
            agents=agents,
        )
        self._require_agents()
        if max_turns is not None:
            checked_count(max_turns, parameter="max_turns")
        self._max_rounds = max_turns
        self._max_stalls = checked_count(max_stalls, parameter="max_stalls")
        self._final_answer_prompt = final_answer_prompt
        self._names = tuple(self._seats)
        self._team = roles_text((seat.name, seat.description) for seat in self._seats.values())
        self._begin_order()

    @property
    def max_turns(self) -> int | None:
        """Maximum number of progress ledgers after the first one."""
        return self._max_rounds

    def _begin_order(self) -> None:
        self._task = self._facts = self._plan = ""
        self._n_rounds = self._n_stalls = 0
        self._is_planned = False
        """Whether the agents have the present plan."""
        self._next: str | None = None
        """The agent that has its instruction and has not spoken yet."""
        self._answered: tuple[str, str] | None = None
        """The reason and code of the end, when the answer is given."""
        self._is_reopened = False

    def _check_start(self, task: Sequence[BaseChatMessage]) -> None:
        if not task:
            raise ValueError(
                "MagenticOneGroupChat needs a task for each run; call run(task=...). Without a "
                "task, only a run that was interrupted continues."
            )

    def _begin(self) -> None:
        super()._begin()
        if not self._is_reopened:  # by the answer of a person, with which the plan continues
            self._begin_order()
            self._thread = []
        self._is_reopened = False

    async def _work(
        self,
        task: Sequence[BaseChatMessage],
        token: CancellationToken,
        emit: Emit[AnyMessage],
        *,
        echo: bool,
    ) -> None:
        await super()._work(task, token, emit, echo=True)

    async def _receive(self, news: Sequence[BaseChatMessage], emit: Emit[AnyMessage]) -> None:
        if self._is_planned:
            await super()._receive(news, emit)
            return
        # What comes before the plan is part of the task, which the agents read in the ledger.
        self._task = " ".join(filter(None, (self._task, *(m.to_model_text() for m in news))))
        for message in news:
            await emit(message)

    async def _select_speaker(
        self, token: CancellationToken, emit: Emit[AnyMessage]
    ) -> str | tuple[str, ...]:
        # After an interruption, this is called again. So each change is made when all that it
        # depends on is known, and before its message is emitted.
        if not self._plan:
            await self._make_plan(token)
        while self._next is None and self._answered is None:
            if not self._is_planned:
                await self._hand_out_plan(emit)
            if self._max_rounds is not None and self._n_rounds > self._max_rounds:
                await self._answer(_ENOUGH, self._n_rounds, token, emit)
            else:
                await self._step(token, emit)
        return () if self._next is None else self._next

    async def _make_plan(self, token: CancellationToken) -> None:
        question: list[LLMMessage] = [self._user(ledger.FACTS.format(task=self._task))]
        if not self._facts:
            self._facts = await self._ask(question, token)
        question += [self._own(self._facts), self._user(ledger.PLAN.format(team=self._team))]
        self._plan = await self._ask(question, token)

    async def _revise_plan(self, token: CancellationToken) -> tuple[str, str]:
        question = self._conversation()
        prompt = ledger.FACTS_AGAIN.format(task=self._task, facts=self._facts)
        facts = await self._ask([*question, self._user(prompt)], token)
        again = self._user(ledger.PLAN_AGAIN.format(team=self._team))
        plan = await self._ask([*question, self._user(prompt), self._own(facts), again], token)
        return facts, plan

    async def _hand_out_plan(self, emit: Emit[AnyMessage]) -> None:
        for seat in self._seats.values():
            await seat.reset()
        texts = {"task": self._task, "facts": self._facts, "plan": self._plan}
        self._thread, self._is_planned = [], True
        await self._say(self._message(ledger.LEDGER.format(team=self._team, **texts)), emit)

    async def _step(self, token: CancellationToken, emit: Emit[AnyMessage]) -> None:
        progress = await self._assess(token)
        rounds = self._n_rounds + 1
        if progress.is_request_satisfied.answer:
            end = progress.is_request_satisfied.reason, "request_satisfied"
            await self._answer(end, rounds, token, emit)
            return
        stalls = self._n_stalls + 1 if progress.is_stalled else max(0, self._n_stalls - 1)
        if stalls >= self._max_stalls:
            self._facts, self._plan = await self._revise_plan(token)
            self._is_planned = False
        self._n_rounds, self._n_stalls = rounds, stalls
        if self._is_planned:
            self._next = progress.next_speaker.answer
            await self._say(self._message(progress.instruction_or_question.answer), emit)

    async def _assess(self, token: CancellationToken) -> ledger.Progress:
        texts = {"task": self._task, "team": self._team, "names": ", ".join(self._names)}
        question = [*self._conversation(), self._user(ledger.PROGRESS.format(**texts))]
        info = self._model_client.model_info
        form = ledger.Progress if info["structured_output"] else info["json_output"] or None
        for _ in range(_ATTEMPTS):
            answer = await self._ask(question, token, json_output=form)
            try:
                return ledger.read_progress(answer, self._names)
            except ValueError as error:
                question += [self._own(answer), self._user(ledger.feedback_on_ledger(error))]
        raise ModelError(
            "Failed to parse ledger information after multiple retries. The model did not write "
            f"the progress ledger as JSON {_ATTEMPTS} times; use one with structured output.",
            retryable=True,
        )

    async def _answer(
        self,
        end: tuple[str, str],
        rounds: int,
        token: CancellationToken,
        emit: Emit[AnyMessage],
    ) -> None:
        prompt = self._final_answer_prompt.replace("{task}", self._task)
        text = await self._ask([*self._conversation(), self._user(prompt)], token)
        self._answered, self._n_rounds = end, rounds
        await self._say(self._message(text), emit)

    async def _ask(
        self, question: Sequence[LLMMessage], token: CancellationToken, **options: Any
    ) -> str:
        has_vision = self._model_client.model_info["vision"]
        seen = question if has_vision else ImagelessView().of(list(question))
        result = await self._model_client.create(seen, cancellation_token=token, **options)
        self._count_usage(result.usage, is_seen=False)
        if not isinstance(result.content, str):
            raise ModelError(
                "The model of the orchestrator requested a tool call, though it was given no tools."
            )
        return result.content

    def _conversation(self) -> list[LLMMessage]:
        own = self._manager_name
        return [
            self._own(m.to_model_text()) if m.source == own else m.to_model_message()
            for m in self._thread
            if isinstance(m, BaseChatMessage)
        ]

    def _message(self, text: str) -> TextMessage:
        return TextMessage(content=text, source=self._manager_name)

    def _user(self, text: str) -> UserMessage:
        return UserMessage(content=text, source=self._manager_name)

    def _own(self, text: str) -> AssistantMessage:
        return AssistantMessage(content=text, source=self._manager_name)

    def _turn_over(self, speaker: str, turn: Turn) -> None:
        self._next = None

    def _own_end(self) -> tuple[str, str] | None:
        end, self._answered = self._answered, None
        return end

    def _give_turn(self, name: str) -> None:
        self._next, self._answered, self._is_reopened = name, None, True

    async def _save_own(self) -> JsonObject:
        if not self._ending.is_undecided:  # AutoGen's thread has no events, and reads few
            self._thread = [m for m in self._thread if isinstance(m, BaseChatMessage)]
        return await super()._save_own()

    def _save_manager(self, common: JsonMapping) -> "teams.state.MagenticOneOrchestratorState":
        return teams.state.MagenticOneOrchestratorState(
            **common,
            task=self._task,
            facts=self._facts,
            plan=self._plan,
            n_rounds=self._n_rounds,
            n_stalls=self._n_stalls,
            is_planned=self._is_planned,
            next_speaker=self._next,
            answered=self._answered,
        )

    async def _load_manager(self, state: JsonMapping) -> "teams.state.MagenticOneOrchestratorState":
        manager = read_state(teams.state.MagenticOneOrchestratorState, state, self._manager_name)
        if manager.next_speaker is not None and manager.next_speaker not in self._seats:
            raise ValueError(
                f"The state names {manager.next_speaker!r} as the next speaker, which is not one "
                f"of the participants {list(self._seats)}."
            )
        self._begin_order()
        self._task, self._facts, self._plan = manager.task, manager.facts, manager.plan
        self._n_rounds, self._n_stalls = manager.n_rounds, manager.n_stalls
        # AutoGen's states do not have it. They are saved between turns, when agents have the plan.
        is_planned = manager.is_planned
        self._is_planned = bool(manager.plan) if is_planned is None else is_planned
        self._next, self._answered = manager.next_speaker, manager.answered
        return manager
