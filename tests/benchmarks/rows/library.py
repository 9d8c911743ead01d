"""Row 1: the cost of a turn and of a tool round of the library."""

from tests.benchmarks.measure import Subject, measure
from tests.benchmarks.rows.settings import Bench
from tests.benchmarks.table import Column, heading, print_table

__all__ = ["report"]

AUTOGEN = "AutoGen 0.7.5"


def report(bench: Bench) -> None:
    """Measure and print."""
    for work, parameters, what in (
        ("turn", {"turns": 20}, "agent turn: two agents in turn, 20 turns of 200 characters"),
        ("tool_round", {"rounds": 20}, "tool round: one agent, 20 calls of an async tool"),
    ):
        heading(f"Library, CPU microseconds per {what}")
        ours = Subject(
            name="teamrun",
            python=bench.environments.ours,
            module="tests.benchmarks.ours.library",
            work=work,
            parameters={"runs": bench.runs(200), **parameters},
            repeats=bench.repeats,
        )
        theirs = Subject(
            name=AUTOGEN,
            python=bench.environments.autogen,
            module="tests.benchmarks.peers.autogen_team",
            work=work,
            parameters={"runs": bench.runs(25), **parameters},
            repeats=bench.repeats,
        )
        column = Column(key="cpu_us", title="CPU us", spread=True, compare=True)
        print_table(measure([ours, theirs]), [column], peer=AUTOGEN)
