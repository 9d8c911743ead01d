"""Random programs for runs: a job is drawn from its input, so a replay draws the same one.

Fan-outs, branches in parallel, losers that are cancelled, questions to persons, tools with
effects, and control flow that depends on the order of events.
"""

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

from tests.simulation.ledger import Drive
from tests.simulation.program import digest

from teamrun.agents.base import BaseChatAgent
from teamrun.core.call import current_call
from teamrun.core.cancellation import CancellationToken
from teamrun.core.protocols import Response
from teamrun.errors import ModelError, ToolError
from teamrun.json_types import JsonObject
from teamrun.messages.chat import BaseChatMessage, TextMessage
from teamrun.messages.llm import CreateResult, LLMMessage, RequestUsage, UserMessage
from teamrun.messages.origin import new_id, now
from teamrun.models.base import ChatCompletionClient, ModelInfo
from teamrun.runs.durable.wiring import JournalWiring
from teamrun.runs.engine.frozen import freeze
from teamrun.runs.engine.journal import Journal
from teamrun.runs.engine.protocol import CallContext, Outcome, Question
from teamrun.runs.log.entries import End, ErrorRecord
from teamrun.tools.base import Effects, OnUnknown, Tool
from teamrun.tools.context import ToolContext
from teamrun.tools.schema import ToolSchema

__all__ = ["Client", "Driven", "Forbidden", "Hand", "Job", "Outside", "Own", "Part", "grow"]


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a program."""

    kind: str
    path: str
    parts: tuple["Part", ...] = ()
    effects: Effects = "none"
    on_unknown: OnUnknown = "tell"
    needs_approval: bool = False
    expires_in: float | None = None


_LEAVES = ("model", "model", "must", "tool", "tool", "ask", "hear", "own")
_BRANCHES = ("fan", "fan", "race", "seq")


def grow(rng: random.Random, path: str = "t", depth: int = 0) -> Part:
    """A random program."""
    if depth == 0:
        count = rng.choice((1, 2, 2, 3))
        parts = tuple(grow(rng, f"{path}/{name}", 1) for name in "abc"[:count])
        return Part("seq", path, parts)
    if depth < 3 and rng.random() < 0.45:
        kind, count = rng.choice(_BRANCHES), rng.choice((2, 2, 3))
        # Branches of a fan often are one agent's, and so share the counters of its path.
        shared = rng.random() < 0.4
        parts = tuple(
            grow(rng, path if shared else f"{path}/{name}", depth + 1) for name in "xyz"[:count]
        )
        return Part(kind, path, parts)
    kind = rng.choice(_LEAVES)
    return Part(
        kind,
        path,
        effects=rng.choice(("none", "idempotent", "write", "write")),
        on_unknown=rng.choice(("tell", "ask", "fail")),
        needs_approval=kind == "tool" and rng.random() < 0.1,
        expires_in=rng.choice((None, None, 2.0, 30.0)),
    )


class Outside(Protocol):
    """The other machines that calls reach; they count them."""

    async def reach(self, drive: Drive, call_id: str, effects: Effects) -> int | None:
        """Make a call: an answer, another one each time; None for an error."""
        ...


class Driven(Protocol):
    """The code of a run, of which a drive is observed."""

    outside: Outside
    drive: Drive


_OVERLOADED = ErrorRecord(
    type="ModelError", code="model_error", message="overloaded", retryable=True, status_code=503
)


class Forbidden:
    """For a replay of an ended run: everything is recorded."""

    async def reach(self, drive: Drive, call_id: str, effects: Effects) -> int | None:
        drive.made.append((call_id, 0))
        return None


class Hand(Tool):
    """A tool of the code of a run."""

    def __init__(
        self,
        job: Driven,
        *,
        effects: Effects,
        on_unknown: OnUnknown,
        needs_approval: bool = False,
    ) -> None:
        super().__init__(f"{effects}_{on_unknown}", "Does something.")
        self.effects = effects
        self.on_unknown = on_unknown
        self.needs_approval = needs_approval
        self._job = job

    @property
    def schema(self) -> ToolSchema:
        return ToolSchema(name=self.name, description=self.description)

    async def run_json(
        self,
        args: Mapping[str, Any],
        cancellation_token: CancellationToken | None = None,
        *,
        call_id: str | None = None,
        context: ToolContext | None = None,
    ) -> int:
        assert context is not None and context.call_id is not None
        context.state["times"] = times = context.state.get("times", 0) + 1
        result = await self._job.outside.reach(self._job.drive, context.call_id, self.effects)
        if result is None:
            raise ToolError("broken")
        return result + times


class Client(ChatCompletionClient):
    """A model whose answers are numbers."""

    def __init__(self, job: Driven) -> None:
        self._job = job

    async def create(self, messages: Sequence[LLMMessage], **options: Any) -> CreateResult:
        info = current_call.get()
        assert info is not None
        number = await self._job.outside.reach(self._job.drive, info.call_id, "none")
        if number is None:
            raise ModelError("overloaded", status_code=503, retryable=True)
        return self.answer(number, info.agent, messages, **options)

    def answer(
        self, number: int, path: str, messages: Sequence[LLMMessage], **options: Any
    ) -> CreateResult:
        """The answer, from the number that the outside has drawn."""
        usage = RequestUsage(prompt_tokens=1, completion_tokens=1)
        return CreateResult(finish_reason="stop", content=str(number), usage=usage)

    async def create_stream(
        self, messages: Sequence[LLMMessage], **options: Any
    ) -> AsyncGenerator[str | CreateResult, None]:
        yield await self.create(messages, **options)

    @property
    def model_info(self) -> ModelInfo:
        return ModelInfo(
            vision=False,
            function_calling=True,
            json_output=False,
            family="unknown",
            structured_output=False,
        )


class Own(BaseChatAgent):
    """A custom agent: calls its model twice in a turn, and counts its turns."""

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        return (TextMessage,)

    def __init__(self, name: str, model_client: ChatCompletionClient) -> None:
        super().__init__(name, "Does as it likes.")
        self._client = model_client
        self._turns = 0

    async def on_messages(
        self,
        messages: Sequence[BaseChatMessage],
        cancellation_token: CancellationToken | None = None,
    ) -> Response:
        self._turns += 1
        said: list[str] = []
        for _ in range(2):
            question = f"{self._turns} after {said}"
            result = await self._client.create([UserMessage(content=question, source="job")])
            said.append(str(result.content))
        text = TextMessage(source=self.name, content=f"{self._turns}: {said}")
        return Response(chat_message=text)

    async def on_reset(self, cancellation_token: CancellationToken) -> None:
        self._turns = 0

    async def save_state(self) -> Mapping[str, Any]:
        return {"turns": self._turns}

    async def load_state(self, state: Mapping[str, Any]) -> None:
        self._turns = state["turns"]


class Job:
    """One drive of a program; `drive` is everything that it saw, in order.

    The parts of the program are its turns.
    """

    def __init__(self, part: Part, outside: Outside, drive: Drive) -> None:
        self.outside = outside
        self.drive = drive
        self._part = part
        self._journal: Journal | None = None
        self._agents: dict[str, BaseChatAgent] = {}

    async def __call__(self, journal: Journal) -> End:
        self._journal = journal
        self.drive.begin()
        self._agents.clear()
        await self._turns(self._thawed())
        self._hear()
        self._see("t", "done", new_id(), now().isoformat())
        text = str(digest(self.drive.thread))
        return End(status="completed", stop_reason="done", output={"text": text})

    async def _turns(self, first: int) -> None:
        """The program's parts, as the turns of a team: between two, its state can be stored."""
        for number, part in enumerate(self._part.parts[first:], first):
            if self.journal.freezes:
                freeze(self.journal, self._state(number))
            await self._do(part)
            if digest(self.drive.thread) % 13 == 0:
                break

    def _state(self, turn: int) -> JsonObject:
        """What a team saves: the further course depends on nothing else, besides the journal."""
        drive = self.drive
        seen = {"thread": drive.thread, "heard": drive.heard, "messages": drive.messages}
        return {**seen, "asked": sorted(drive.asked), "turn": turn}

    def _thawed(self) -> int:
        """The turn to begin with: the first, or that at which a snapshot was made."""
        state, drive = self.journal.thawed, self.drive
        drive.is_thawed = state is not None
        if state is None:
            return 0
        drive.thread.extend(map(tuple, state["thread"]))
        drive.heard.update(state["heard"])
        drive.messages.extend(state["messages"])
        drive.asked.update(state["asked"])
        return state["turn"]

    @property
    def journal(self) -> Journal:
        assert self._journal is not None
        return self._journal

    def _see(self, path: str, *what: Any) -> None:
        self.drive.acts()
        self.drive.thread.append((path, *what))
        data = {"what": what, "so_far": len(self.drive.thread)}
        self.journal.emit("thought.created", agent=path.rpartition("/")[2], data=data)

    async def _hop(self, *reason: Any) -> None:
        for _ in range(digest(*reason) % 6):
            await asyncio.sleep(0)

    async def _do(self, part: Part) -> None:
        match part.kind:
            case "seq":
                for child in part.parts:
                    await self._do(child)
                    if digest(self.drive.thread) % 13 == 0:
                        break
            case "fan":
                await asyncio.gather(*(self._do(child) for child in part.parts))
            case "race":
                await self._race(part)
            case "model" | "must":
                await self._model(part)
            case "tool":
                await self._tool(part)
            case "ask":
                await self._ask(part)
            case "own":
                await self._own(part)
            case _:
                self._hear()

    async def _race(self, part: Part) -> None:
        runners = [asyncio.ensure_future(self._do(child)) for child in part.parts]
        done, losers = await asyncio.wait(runners, return_when=asyncio.FIRST_COMPLETED)
        for loser in (runner for runner in runners if runner in losers):
            loser.cancel()
        for winner in (runner for runner in runners if runner in done):
            winner.result()
        self._see(part.path, "race", [runner in done for runner in runners])

    async def _model(self, part: Part) -> None:
        position = self.journal.position(part.path, "model")

        async def perform(desk: CallContext) -> Outcome:
            answer = await self.outside.reach(self.drive, desk.info.call_id, "none")
            if answer is None:
                return Outcome(error=_OVERLOADED)
            usage = RequestUsage(prompt_tokens=1, completion_tokens=1)
            return Outcome(value=answer, usage=usage)

        record = await self.journal.call(part.path, "model", "m", position, perform)
        if record.error is not None and part.kind == "must":
            raise ModelError(record.error.message, status_code=503, retryable=True)
        await self._hop(part.path, record.value)
        self._see(part.path, "said", position, record.value, new_id())
        if digest(self.drive.thread) % 4 == 0:
            self._hear()

    async def _tool(self, part: Part) -> None:
        hand = Hand(
            self,
            effects=part.effects,
            on_unknown=part.on_unknown,
            needs_approval=part.needs_approval,
        )
        tool = JournalWiring(self.journal).tool(part.path, hand)
        arguments = {"of": digest(part.path, part.effects)}
        result = await self._tried(tool.run_json(arguments, call_id=part.path))
        await self._hop(part.path, result)
        self._see(part.path, "got", result, now().isoformat())

    async def _own(self, part: Part) -> None:
        wiring = JournalWiring(self.journal)
        if part.path not in self._agents:
            client = wiring.inner_model(part.path, "m", Client(self))
            own = Own(part.path.rpartition("/")[2], client)
            self._agents[part.path] = wiring.agent(part.path, own)
        heard = [TextMessage(source="job", content=part.path)]
        try:
            response = await self._agents[part.path].on_messages(heard)
            answer = response.chat_message.to_text()
        except ModelError as error:
            answer = f"failed: {error}"
        await self._hop(part.path, answer)
        self._see(part.path, "turned", answer)

    async def _tried(self, call: Awaitable[Any]) -> str:
        try:
            return str(await call)
        except ToolError as error:
            return f"failed: {error}"

    async def _ask(self, part: Part) -> None:
        expires_in = None if part.expires_in is None else timedelta(seconds=part.expires_in)
        question = Question(agent=part.path, type="input", prompt="?", expires_in=expires_in)
        record = await self.journal.ask(question)
        self.drive.asked.add(record.call_id)
        if record.error is None:
            self.drive.heard[record.call_id] = record.value["content"]
        await self._hop(part.path, record.value)
        self._see(part.path, "told", record.value, record.error and record.error.code)

    def _hear(self) -> None:
        signals = self.journal.read_messages()
        for signal in signals:
            self.drive.messages.append(signal.content or "")
            self._see("t", "heard", signal.content)
