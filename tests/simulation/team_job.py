"""Real teams as the code of simulated runs: of every type, with members at work at the same time.

The team, its agents and the wrappers that make it durable are the project's own. Models and tools
reach the outside of the worker, as those of a `Job` do.
"""

import random
from collections.abc import Sequence
from functools import cache
from typing import Any
from unittest.mock import ANY

from pydantic_core import to_json
from tests.simulation.job import Client, Driven, Hand, Job, Outside, Own, grow
from tests.simulation.ledger import Drive
from tests.simulation.program import digest
from tests.simulation.team_stories import HANDS, answer

from teamrun.agents import AssistantAgent
from teamrun.components.registry import Registry
from teamrun.core.call import current_call
from teamrun.errors import TeamrunError
from teamrun.json_types import JsonObject
from teamrun.messages.llm import CreateResult, LLMMessage
from teamrun.models.base import ChatCompletionClient
from teamrun.models.wrapper import ModelWrapper
from teamrun.runs.durable.team import run_team
from teamrun.runs.durable.threads import ThreadBefore
from teamrun.runs.durable.wiring import JournalWiring
from teamrun.runs.engine.journal import Journal
from teamrun.runs.engine.protocol import Question
from teamrun.runs.log.entries import CallRecord, End, Signal
from teamrun.runs.log.spec import RunSpec
from teamrun.tools.agent_tool import AgentTool

__all__ = ["TeamJob", "program_of", "seen_model", "team_registry"]


def program_of(
    spec: RunSpec, outside: Outside, drive: Drive, threads: ThreadBefore | None = None
) -> "Job | TeamJob":
    """The code of a run: a team that the request defines, or a random program."""
    if spec.team.id is None:
        return TeamJob(spec, outside, drive, threads)
    return Job(grow(random.Random(str(spec.input))), outside, drive)


class _Model(Client):
    """The model of all agents of a team."""

    def __init__(self, job: Driven, members: Sequence[str]) -> None:
        super().__init__(job)
        self._members = members

    def answer(
        self, number: int, path: str, messages: Sequence[LLMMessage], **options: Any
    ) -> CreateResult:
        info = current_call.get()
        assert info is not None
        self._job.drive.prompts[info.call_id] = digest(messages)
        tools = [tool["name"] for tool in options.get("tools", ())]
        return answer(number, path, repr(messages), tools, self._members)


class _Seen(ModelWrapper):
    """Notes what run code asks a model."""

    def __init__(self, wrapped: ChatCompletionClient, journal: Journal, path: str) -> None:
        super().__init__(wrapped)
        self._journal = journal
        self._path = path

    async def create(self, messages: Sequence[LLMMessage], **options: Any) -> CreateResult:
        """Note the request, and make it."""
        position = self._journal.positions.get(f"{self._path}/model", 0)
        drive: Drive = vars(self._journal)["drive"]
        drive.requests[f"{self._path}/model:{position}"] = digest(messages)
        return await self.wrapped.create(messages, **options)


def seen_model(
    self: JournalWiring, path: str, profile: str, client: ChatCompletionClient
) -> ChatCompletionClient:
    """Replaces `JournalWiring.model`."""
    journal: Journal = vars(self)["_journal"]
    return _Seen(_made(self, path, profile, client), journal, path)


_made = JournalWiring.model


class TeamJob:
    """One drive of a team; `drive` is everything that it emitted and was asked, in order."""

    def __init__(
        self, spec: RunSpec, outside: Outside, drive: Drive, threads: ThreadBefore | None
    ) -> None:
        self.outside = outside
        self.drive = drive
        self._spec = spec
        self._threads = threads

    async def __call__(self, journal: Journal) -> End:
        drive = self.drive
        drive.begin()
        drive.close = journal.close
        drive.is_thawed = journal.thawed is not None
        # What came before the snapshot was seen by another worker.
        drive.thread.extend([ANY] * journal.emitted)
        self._watch(journal)
        members = [member.name for member in self._spec.definition.participants]
        try:
            registry = _registry(self, _Model(self, members))
            return await run_team(journal, self._spec, registry, threads=self._threads)
        except Exception as error:
            if drive.is_thawed and not isinstance(error, TeamrunError):
                drive.faults.append(f"a team cannot continue from a snapshot: {error!r}")
            raise

    def _watch(self, journal: Journal) -> None:
        """Note what the team emits, asks and hears."""
        drive = self.drive
        emit, ask, read_messages = journal.emit, journal.ask, journal.read_messages

        def emit_seen(type: str, *, agent: str | None = None, data: JsonObject) -> None:
            drive.acts()
            drive.thread.append((agent, type, to_json(data)))
            emit(type, agent=agent, data=data)

        async def ask_seen(question: Question) -> CallRecord:
            record = await ask(question)
            drive.asked.add(record.call_id)
            if record.error is None:
                drive.heard[record.call_id] = record.value["content"]
            return record

        def read_seen() -> list[Signal]:
            signals = read_messages()
            drive.messages += [signal.content or "" for signal in signals]
            return signals

        vars(journal).update(emit=emit_seen, ask=ask_seen, read_messages=read_seen, drive=drive)


def _registry(job: Driven, model: ChatCompletionClient) -> Registry:
    """What the team may use: made for each drive, so that a call knows whose it is."""
    hands = [
        Hand(job, effects=effects, on_unknown=on_unknown, needs_approval=on_unknown == "fail")
        for effects, on_unknown in HANDS
    ]
    helper = AssistantAgent("helper", model, tools=hands[:2])
    return Registry.of(
        teams=TEAMS, models={"m": model}, tools=[*hands, AgentTool(helper)], agents={"own": Own}
    )


TEAMS = {
    "t": {
        "type": "round_robin_group_chat",
        "participants": [{"type": "assistant_agent", "name": "a", "model": "m"}],
    }
}


@cache
def team_registry() -> Registry:
    """What requests can name."""
    idle = TeamJob.__new__(TeamJob)
    return _registry(idle, Client(idle))
