"""The code of a run: builds the team, gives it the task, and emits its events."""

from collections.abc import Callable, Sequence
from functools import partial

from teamrun.components.building.teams import build_team
from teamrun.components.definitions.base import ParticipantDefinition, TeamDefinition
from teamrun.components.registry import Registry
from teamrun.core.behaviour import current_behaviour, has_behaviour
from teamrun.core.protocols import AnyMessage, Task, TaskResult
from teamrun.errors import ThreadMismatch, UnfitOutput
from teamrun.json_types import JsonObject
from teamrun.messages import BaseChatMessage, HandoffMessage, TextMessage
from teamrun.models.base import ChatCompletionClient
from teamrun.runs.durable.narrator import Narrator
from teamrun.runs.durable.people import ask_person
from teamrun.runs.durable.threads import ThreadBefore, continue_thread, state_of
from teamrun.runs.durable.wiring import JournalWiring
from teamrun.runs.engine.execution import Program
from teamrun.runs.engine.frozen import freeze
from teamrun.runs.engine.journal import Journal
from teamrun.runs.engine.protocol import Question
from teamrun.runs.log.entries import End
from teamrun.runs.log.output import output_of_message, output_sources
from teamrun.runs.log.spec import RunInput, RunSpec
from teamrun.teams import BaseGroupChat

__all__ = ["run_team", "team_program"]


def team_program(
    registry: Registry, *, threads: ThreadBefore | None = None
) -> Callable[[RunSpec], Program]:
    """A function that makes the code of a run, which executes the team.

    Args:
        registry: The models and tools of the teams.
        threads: Reads from what a run of a thread continues; None if there are no threads.
    """

    def of(spec: RunSpec) -> Program:
        async def program(journal: Journal) -> End:
            return await run_team(journal, spec, registry, threads=threads)

        return program

    return of


async def run_team(
    journal: Journal, spec: RunSpec, registry: Registry, *, threads: ThreadBefore | None = None
) -> End:
    """Execute the team of a run from start to end."""
    try:
        return await _executed(journal, spec, registry, threads)
    except UnfitOutput as error:
        return _unfit(error)


async def _executed(
    journal: Journal, spec: RunSpec, registry: Registry, threads: ThreadBefore | None
) -> End:
    current_behaviour.set(spec.behaviour)
    options = {} if spec.temperature is None else {"temperature": spec.temperature}
    journal.transcript.output_sources = output_sources(spec.definition)
    wiring = JournalWiring(journal, prices=registry.price, options=options)
    team = build_team(spec.definition, registry, wiring)
    narrator = Narrator(journal)
    team.observer = narrator
    team.inbox = partial(_unread, journal)
    team.checkpoint = partial(_checkpoint, journal)
    task = _task(spec.input) if journal.thawed is None else None
    if journal.thawed is not None:
        with journal.origin.restored():
            await team.load_state(journal.thawed)
    elif spec.thread is not None:
        try:
            task = await continue_thread(
                journal, spec, team, threads, given=_as_messages(_task(spec.input))
            )
        except ThreadMismatch:
            for message in _as_messages(_task(spec.input)):  # the conversation has what was asked
                narrator.emit_item(message)
            raise
    while True:
        result = await team.run_observed(task, narrator.emit_item)
        handoff = _handoff_to_person(result, team, spec)
        if handoff is None or not await _may_go_on(team, handoff):
            break
        question = Question(
            agent=_path_of(spec.definition, handoff.source), type="input", prompt=handoff.to_text()
        )
        answer = await ask_person(journal, question)
        task = HandoffMessage(source=handoff.target, target=handoff.source, content=answer)
    end = End(
        status="completed",
        stop_reason=team.stop_reason,
        stop_code=team.stop_code,
        output=_output(journal, result.messages),
        state=None if spec.thread is None else await state_of(journal, team),
    )
    if spec.output_schema is None:
        return end
    # Imported late: few runs have a schema.
    from teamrun.runs.durable.output import FORMATTER, in_form

    def client(profile: str) -> ChatCompletionClient:
        made = registry.model_client(profile).for_agent(FORMATTER)
        return wiring.model(f"{spec.definition.name}/{FORMATTER}", profile, made)

    return await in_form(end, spec, team.conversation, client)


def _unfit(error: UnfitOutput) -> End:
    """The end of a run whose agent could not answer in the form of its own schema."""
    return End(
        status="incomplete",
        stop_code=error.code,
        stop_reason=error.message,
        output={"text": error.text, "json": None, "problems": [*error.problems]},
    )


async def _checkpoint(journal: Journal, team: BaseGroupChat) -> None:
    if journal.freezes:
        freeze(journal, await state_of(journal, team))


async def _may_go_on(team: BaseGroupChat, handoff: HandoffMessage) -> bool:
    """Prepare the team for the answer; False if it has reached a limit, so that none is asked for.

    In behaviour 1, the team started again after the answer, with the next speaker.
    """
    return not has_behaviour(2) or await team.reopen(handoff.source)


def _path_of(definition: TeamDefinition, agent: str) -> str:
    if not has_behaviour(2):
        return f"{definition.name}/{agent}"
    return _path_in(definition, agent) or f"{definition.name}/{agent}"


def _path_in(definition: ParticipantDefinition, agent: str) -> str | None:
    """The path of an agent of the team, or of one of its inner teams."""
    if definition.name == agent:
        return agent
    if definition in definition.voices:
        return None
    paths = (_path_in(member, agent) for member in definition.inner)
    return next((f"{definition.name}/{path}" for path in paths if path is not None), None)


def _unread(journal: Journal) -> list[BaseChatMessage]:
    """The messages that people have sent to the team since this was last called."""
    signals = journal.read_messages()
    return [TextMessage(content=each.content or "", source=each.source) for each in signals]


def _handoff_to_person(
    result: TaskResult, team: BaseGroupChat, spec: RunSpec
) -> HandoffMessage | None:
    if team.stop_code != "handoff":
        return None
    last = result.messages[-1] if result.messages else None
    if team.speakers > 1:  # the others may have ended after the one that hands off
        said = [m for m in result.messages if isinstance(m, BaseChatMessage)][-team.speakers :]
        asked = [m for m in said if isinstance(m, HandoffMessage) and not team.has_member(m.target)]
        last = asked[-1] if asked else None
    if not isinstance(last, HandoffMessage):
        return None
    if has_behaviour(2):
        return None if team.has_member(last.target) else last
    members = {member.name for member in spec.definition.participants}
    return None if last.target in members else last


def _task(given: str | RunInput) -> Task:
    if isinstance(given, str):
        return given
    return [TextMessage(content=item.content, source=item.source) for item in given.messages]


def _as_messages(task: Task) -> list[BaseChatMessage]:
    if isinstance(task, str):
        return [TextMessage(content=task, source="user")]
    return [task] if isinstance(task, BaseChatMessage) else list(task)


def _output(journal: Journal, messages: Sequence[AnyMessage]) -> JsonObject | None:
    if journal.transcript.output_sources is not None:
        return (
            None
            if journal.transcript.latest is None
            else output_of_message(journal.transcript.latest)
        )
    last = next(m for m in reversed(messages) if isinstance(m, BaseChatMessage))
    return output_of_message(last)
