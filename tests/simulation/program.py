"""Run code that is as sensitive to order as code can be, for holding replay against live.

Concurrent agents, random fan-outs of tools, nested agents, losers that are cancelled, and control
flow that depends on the interleaving: whatever a replay did in another order would show.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from teamrun.messages.llm import RequestUsage
from teamrun.messages.origin import new_id, now
from teamrun.runs.engine.journal import Journal
from teamrun.runs.engine.protocol import CallContext, Outcome
from teamrun.runs.log.entries import End, ErrorRecord

Thread = list[tuple[Any, ...]]


def digest(*parts: object) -> int:
    return int.from_bytes(blake2b(repr(parts).encode(), digest_size=4).digest(), "big")


@dataclass
class Outside:
    """The target of calls of run code: random, slow, failing sometimes, and counted."""

    rng: random.Random
    made: Counter[str] = field(default_factory=Counter[str])
    forbidden: bool = False

    def performer(self, call_id: str) -> Callable[[CallContext], Awaitable[Outcome]]:
        async def perform(desk: CallContext) -> Outcome:
            assert not self.forbidden, f"{call_id} was made although it is on record"
            self.made[call_id] += 1
            await asyncio.sleep(self.rng.choice([0, 0.001, 0.001, 0.004, 0.03, 0.2, 1.5]))
            if self.rng.random() < 0.1:
                desk.emit("tool.call.progressed", {"note": "half of it"})
                await asyncio.sleep(self.rng.choice([0, 0.01, 1.2]))
            if self.rng.random() < 0.05:
                return Outcome(error=ErrorRecord(type="E", code="model_error", message="no"))
            usage = RequestUsage(prompt_tokens=1, completion_tokens=1)
            return Outcome(value=self.rng.randrange(1 << 16), usage=usage)

        return perform


class Code:
    """One drive of the program; `thread` is everything that it saw, in order."""

    def __init__(self, outside: Outside) -> None:
        self.outside = outside
        self.thread: Thread = []
        self._journal: Journal | None = None

    async def __call__(self, journal: Journal) -> End:
        self._journal = journal
        self.thread.clear()
        await asyncio.gather(*(self._agent(name, 3) for name in "abc"))
        await self._race()
        await self._agent("d", 2)
        self._see("done", new_id(), now().isoformat())
        return End(
            status="completed", stop_reason="done", output={"text": str(digest(self.thread))}
        )

    async def _call(self, path: str, kind: str) -> int:
        assert self._journal is not None
        position = self._journal.position(path, kind)
        perform = self.outside.performer(f"{path}/{kind}:{position}")
        record = await self._journal.call(path, kind, "thing", position, perform)
        return -1 if record.error is not None else int(record.value)

    def _see(self, *what: Any) -> None:
        assert self._journal is not None
        self.thread.append(what)
        data = {"what": list(what), "length": len(self.thread)}
        self._journal.emit("message.created", agent=str(what[1]), data=data)

    async def _hop(self, times: int) -> None:
        for _ in range(times):
            await asyncio.sleep(0)

    async def _agent(self, name: str, turns: int) -> None:
        for turn in range(turns):
            answer = await self._call(name, "model")
            await self._hop(digest(name, turn, answer) % 6)
            self._see("said", name, turn, answer, new_id())
            jobs = [self._tool(name, k, digest(answer, k)) for k in range(answer % 4)]
            if name == "b" and answer % 2:
                jobs += [self._nested(f"{name}/sub{k}", k) for k in range(2)]
            await asyncio.gather(*jobs)
            if digest(self.thread) % 9 == 0:
                break

    async def _tool(self, path: str, k: int, argument: int) -> int:
        result = await self._call(path, "tool")
        await self._hop(digest(path, k, argument) % 5)
        self._see("tool", path, k, result, now().isoformat())
        return result

    async def _nested(self, path: str, question: int) -> int:
        first = await self._call(path, "model")
        await self._hop(first % 3)
        second = await self._call(path, "model")
        self._see("nested", path, question, second)
        return second

    async def _race(self) -> None:
        runners = [asyncio.ensure_future(self._call(f"race/{k}", "model")) for k in "xyz"]
        done, losers = await asyncio.wait(runners, return_when=asyncio.FIRST_COMPLETED)
        for loser in losers:
            loser.cancel()
        self._see("race", "race", sorted(task.result() for task in done))
