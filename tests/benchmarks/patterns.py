"""The teams that each library builds, and what their model answers, call by call.

Standard library only: the same code runs in the environments of the peers.
"""

import itertools
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

from tests.benchmarks.meter import Meter, Work, text_of

__all__ = [
    "ANSWERS",
    "BRANCHES",
    "NAMES",
    "PATTERNS",
    "TURNS",
    "UNITS",
    "Answer",
    "Call",
    "Choice",
    "Handoff",
    "Making",
    "Run",
    "Script",
    "other",
    "works",
]

TURNS: Final = 20
"""Turns of a run, handoffs of a swarm, or rounds of tool calls."""
NAMES: Final = ("a", "b", "c")
"""The agents between which a selector chooses."""
BRANCHES: Final = ("b", "c", "d", "e", "f")
"""The agents of the graph that speak at the same time, after `a` and before `z`."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request of the tool `add`."""

    id: str
    arguments: str = '{"a": 1, "b": 2}'


@dataclass(frozen=True, slots=True)
class Choice:
    """The selector's choice of the next speaker."""

    name: str


@dataclass(frozen=True, slots=True)
class Handoff:
    """A handoff to that agent, in the library's own form."""

    target: str


Answer = str | Call | Choice | Handoff


def other(name: str) -> str:
    """The other agent of two."""
    return "b" if name == "a" else "a"


def _selector() -> Iterator[Answer]:
    for turn in range(TURNS):
        yield Choice(NAMES[turn % len(NAMES)])
        yield text_of(turn)


def _swarm() -> Iterator[Answer]:
    targets = itertools.cycle("ba")
    yield from (Handoff(next(targets)) for _ in range(TURNS - 1))
    yield text_of(0)


ANSWERS: Final[dict[str, list[Answer]]] = {
    "round_robin": [text_of(turn) for turn in range(TURNS)],
    "selector": list(_selector()),
    "swarm": list(_swarm()),
    "graph": [text_of(turn) for turn in range(2 + len(BRANCHES))],
    "tool_loop": [*(Call(f"call_{number}") for number in range(TURNS)), text_of(0)],
}
"""The answers of one run, in the order of the calls."""

PATTERNS: Final = {
    "round_robin": "two agents in turn, 20 turns",
    "selector": "three agents, 20 turns, a model selects each speaker",
    "swarm": "two agents that hand over to each other, 20 turns",
    "graph": "one agent, five at the same time, one: 7 turns",
    "tool_loop": "one agent, 20 calls of an async tool",
}
UNITS: Final = {name: 2 + len(BRANCHES) if name == "graph" else TURNS for name in PATTERNS}
"""Turns of one run of each team."""


class Script:
    """Answers the calls of one run after another.

    Args:
        pattern: The name of the team.
    """

    def __init__(self, pattern: str) -> None:
        self.calls = 0
        self.length = len(ANSWERS[pattern])
        self._answers = itertools.cycle(ANSWERS[pattern])

    def next(self) -> Answer:
        """The answer to the next call."""
        self.calls += 1
        return next(self._answers)


Run = Callable[[], Awaitable[object]]
"""Executes a team once."""
Making = Callable[[Script], Run]
"""Makes what runs can share, and the model with that script."""


def works(*patterns: Making) -> dict[str, Work]:
    """The measured work of each pattern, by its name, which is that of the function."""
    return {each.__name__: partial(_per_turn, each.__name__, each) for each in patterns}


async def _per_turn(pattern: str, making: Making, *, runs: int) -> dict[str, float]:
    """CPU time of one turn.

    Args:
        pattern: The name of the team.
        making: Makes the team.
        runs: Number of runs; one more comes before them.

    Raises:
        AssertionError: A run made more or fewer model calls than its script has.
    """
    script = Script(pattern)
    run = making(script)
    await run()
    assert script.calls == script.length, f"{script.calls} calls instead of {script.length}"
    with Meter() as meter:
        for _ in range(runs):
            await run()
    assert script.calls == script.length * (runs + 1)
    return {"cpu_us": meter.cpu_s / runs / UNITS[pattern] * 1e6}
