"""Runs each benchmark once, on one run, so that they keep working."""

import gc
import sys
from collections.abc import Generator

import pytest
from tests.benchmarks.measure import Figure
from tests.benchmarks.ours import durable, library, lists, requests, webhooks
from tests.benchmarks.table import Column, print_table

needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")


@pytest.fixture(autouse=True)
def the_collector_as_it_was() -> Generator[None]:
    thresholds = gc.get_threshold()
    yield
    gc.set_threshold(*thresholds)


async def test_the_library_does_its_work() -> None:
    await library.turn(runs=1, turns=2)
    await library.tool_round(runs=1, rounds=2)
    await library.items(runs=1)
    assert (await library.at_once(runs=2, turns=2, delay_s=0.001))["done"] == 2


@pytest.mark.parametrize("store", ["memory", "file"])
async def test_durable_runs_do_their_work(store: str) -> None:
    assert (await durable.turn(store=store, runs=1, turns=2))["puts_per_run"] == 4
    await durable.tool_round(store=store, runs=1, rounds=2)
    assert (await durable.at_once(store=store, runs=2, turns=2, delay_s=0.001))["done"] == 2


@needs_proc
async def test_runs_that_are_halted_halfway_are_completed_afterwards() -> None:
    assert (await library.halfway(runs=2, turns=4))["done"] == 2
    assert (await durable.halfway(store="file", runs=2, turns=4))["done"] == 2


async def test_requests_are_counted_and_priced() -> None:
    life = await requests.whole_life(runs=2, turns=1, delay_s=0)
    assert (life["puts"], life["lists"], life["deletes"]) == (6, 1, 1)
    assert life["usd_1000"] == pytest.approx(1000 * (7 * 0.005 + life["gets"] * 0.0004) / 1000)
    flight = await requests.in_flight(runs=2, leases=1, lease_s=0.1)
    assert (flight["puts"], flight["lists"]) == (0, 0)
    assert (await requests.sweeps(runs=3, minutes=1))["lists"] == 24
    assert (await requests.walk(runs=3, turns=2))["puts"] <= 48 / 24 / 3
    assert (await requests.long_get(turns=5))["rounds"] == 2


async def test_a_list_costs_the_same_with_more_runs_in_the_store() -> None:
    assert (await lists.page(runs=100, pages=2))["cpu_us"] > 0


async def test_webhooks_are_delivered_and_settled() -> None:
    for work in (webhooks.bare, webhooks.signed, webhooks.delivered):
        assert (await work(deliveries=12))["per_s"] > 0


def test_figures_are_compared_with_the_peer(capsys: pytest.CaptureFixture[str]) -> None:
    columns = [Column(key="us", title="us", spread=True, compare=True)]
    ours, peer = Figure(30.0, 28.0, 35.0, 5), Figure(600.0, 590.0, 700.0, 5)
    print_table({"ours": {"us": ours}, "peer": {"us": peer}}, columns, peer="peer")
    assert capsys.readouterr().out.splitlines() == [
        "        us",
        "  ours  30.0 (28.0 to 35.0) = 1/20.0",
        "  peer  600.0 (590.0 to 700.0)",
    ]


def test_a_figure_of_zero_is_compared_with_the_peer(capsys: pytest.CaptureFixture[str]) -> None:
    figures = {
        "ours": {"kb": Figure(0.0, 0.0, 0.0, 3)},
        "peer": {"kb": Figure(72.0, 72.0, 72.0, 3)},
    }
    print_table(figures, [Column(key="kb", title="KB", compare=True)], peer="peer")
    assert capsys.readouterr().out.splitlines()[1] == "  ours  0.0 = 0.00 x"
