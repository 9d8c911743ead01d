"""What every host does when two execute a run, a message comes twice, or it is killed."""

import time
from collections.abc import Generator

import pytest
from tests.conformance.client import Client
from tests.conformance.hosts import Crowded, Host, Limited, Queued
from tests.conformance.plays import expected
from tests.conformance.records import record_of
from tests.conformance.site import Site
from tests.support.figures import Figures
from tests.support.service import until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

_GATES = ("one", "two", "three", "four", "five")


@pytest.fixture
def carried(client: Client, site: Site) -> Generator[str]:
    """A run with five tool calls, the first of which has begun; it ends with the test."""
    run_id = client.submit("carry")
    site.until_begun(run_id, "one")
    yield run_id
    for name in _GATES:
        site.release(run_id, name)
    client.until(run_id)


def test_one_that_was_overtaken_collides_in_the_log_and_stops(
    client: Client, host: Host, site: Site, carried: str
) -> None:
    if not isinstance(host, Crowded):
        pytest.skip("only one process of this host may execute runs")
    with host.overtake():
        until(lambda: site.notes(carried).count("begun one") == 2, "the successor has taken over")
    for name in _GATES:
        site.release(carried, name)

    assert record_of(client, carried) == expected("five_calls")
    notes = site.notes(carried)
    assert [notes.count(f"begun {name}") for name in _GATES] == [2, 1, 1, 1, 1]
    until(lambda: fenced(host, carried), "the one that was overtaken has stopped")


def fenced(host: Host, run_id: str) -> bool:
    """Whether a log tells that the run was found to be another one's."""
    lines = [line for _, data in host.written() for line in data.splitlines()]
    return any(b"engine.fenced" in line and run_id.encode() in line for line in lines)


def test_a_message_that_comes_again_changes_nothing(
    client: Client, host: Host, site: Site, carried: str
) -> None:
    if not isinstance(host, Queued):
        pytest.skip("this host has no queue")
    for name in _GATES:
        site.until_begun(carried, name)
        host.deliver_again(carried)
        site.release(carried, name)
    client.until(carried)
    host.deliver_again(carried)
    client.until(client.submit("talk"))

    assert record_of(client, carried) == expected("five_calls")
    notes = site.notes(carried)
    assert [notes.count(f"begun {name}") for name in _GATES] == [1] * 5


def test_what_was_lost_is_taken_over(
    client: Client, host: Host, site: Site, figures: Figures, request: pytest.FixtureRequest
) -> None:
    if isinstance(host, Limited):
        pytest.skip("the folders of the clouds have tests of lost functions")
    tasks = [f"hold {request.node.name} {n}" for n in range(20)]
    run_ids = [client.submit("think", input=task) for task in tasks]
    for task in tasks:
        site.model.until_asked(task)

    begun = time.monotonic()
    host.lose()
    started = time.monotonic()
    for task in tasks:
        site.model.until_asked(task, 2)
    taken = time.monotonic()
    for task in tasks:
        site.model.release(task)

    assert {client.until(run_id)["status"] for run_id in run_ids} == {"completed"}
    twice = sum(site.model.requests[task] - 1 for task in tasks)
    assert twice == len(tasks)
    figures.add(
        f"conformance, {request.node.callspec.id}: {len(tasks)} runs whose process was killed in "
        f"a model call: lost 0, calls paid twice {twice}; restart {started - begun:.1f} s, "
        f"all taken over {taken - started:.1f} s later"
    )
