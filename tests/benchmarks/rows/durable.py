"""Row 2: the cost of a turn of a durable run, and the share of the store."""

from collections.abc import Mapping

from tests.benchmarks.measure import Figures, Subject, measure
from tests.benchmarks.rows.settings import Bench
from tests.benchmarks.table import Column, heading, print_table

__all__ = ["report"]

AUTOGEN = "AutoGen 0.7.5, not durable"


def report(bench: Bench) -> None:
    """Measure and print."""
    columns = [
        Column(key="cpu_us", title="CPU us", spread=True, compare=True),
        Column(key="besides_us", title="besides the store's own"),
        Column(key="store_us", title="the store's own"),
        Column(key="puts_per_run", title="puts per run"),
    ]
    heading("Durable run, CPU microseconds per turn: two agents, 20 turns, one run after another")
    print_table(_by_turn(bench), columns, peer=AUTOGEN)
    heading("The same by the length of the run, in the memory store")
    print_table(_by_length(bench), columns)
    heading("Durable run, CPU microseconds per tool round: one agent, 20 calls of an async tool")
    print_table(_by_tool_round(bench), columns, peer=AUTOGEN)


def _by_turn(bench: Bench) -> Mapping[str, Figures]:
    work = {"turns": 20}
    subjects = [_ours(bench, store, "turn", work) for store in ("memory", "file")]
    subjects.append(_autogen(bench, "turn", work))
    if bench.environments.langgraph is not None:
        subjects.append(
            Subject(
                name="langgraph 1.2.22, SQLite saver",
                python=bench.environments.langgraph,
                module="tests.benchmarks.peers.langgraph_graph",
                work="turn",
                parameters={"runs": bench.runs(20), **work},
                repeats=bench.repeats,
            )
        )
    return measure(subjects)


def _by_length(bench: Bench) -> Mapping[str, Figures]:
    """The figures of runs of each length, with the same number of turns in all."""
    figures = dict[str, Figures]()
    for turns in (10, 100, 1_000, 3_000):
        runs = max(1, bench.runs(3_000) // turns)
        subject = _ours(bench, "memory", "turn", {"turns": turns}, runs=runs)
        figures[f"{turns:,} turns"] = measure([subject])[subject.name]
    return figures


def _by_tool_round(bench: Bench) -> Mapping[str, Figures]:
    work = {"rounds": 20}
    subjects = [_ours(bench, store, "tool_round", work) for store in ("memory", "file")]
    return measure([*subjects, _autogen(bench, "tool_round", work)])


def _ours(
    bench: Bench,
    store: str,
    work: str,
    parameters: Mapping[str, float],
    *,
    runs: int | None = None,
) -> Subject:
    return Subject(
        name=f"teamrun, {store} store",
        python=bench.environments.ours,
        module="tests.benchmarks.ours.durable",
        work=work,
        parameters={"runs": runs or bench.runs(60), "store": store, **parameters},
        repeats=bench.repeats,
    )


def _autogen(bench: Bench, work: str, parameters: dict[str, int]) -> Subject:
    return Subject(
        name=AUTOGEN,
        python=bench.environments.autogen,
        module="tests.benchmarks.peers.autogen_team",
        work=work,
        parameters={"runs": bench.runs(25), **parameters},
        repeats=bench.repeats,
    )
