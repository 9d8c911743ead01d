"""Calls of a run that another profile answers: recorded, priced by it, and the same in a replay."""

from datetime import timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from tests.support.mortal_store import MortalStore, until_dead
from tests.support.runs import TENANT, Cluster, solo

from teamrun.components.registry import Registry
from teamrun.components.team_file import load_registry
from teamrun.core.refs import RunRef
from teamrun.runs.durable.team import team_program
from teamrun.runs.engine.replay import replay
from teamrun.runs.log.entries import calls_of
from teamrun.runs.log.state import fold
from teamrun.storage.memory import MemoryStore
from teamrun.testing import ScriptedModel

FILE = """\
version: 1
models:
  m:
    type: scripted
    fallback: [second, third]
    price: {input: 1, output: 1}
    script:
      - {content: one, usage: {prompt_tokens: 1000000, completion_tokens: 0}}
      - {error: {message: busy, status_code: 503, retryable: true}}
      - {content: DONE, usage: {prompt_tokens: 1000000, completion_tokens: 0}}
  second:
    type: scripted
    script: [unused, {error: {message: down, retryable: true}}]
  third:
    type: scripted
    price: {input: 3, output: 3}
    script: [unused, {content: two, usage: {prompt_tokens: 1000000, completion_tokens: 0}}]
agents:
  a: {model: m, model_client_stream: STREAM}
teams:
  team: {type: round_robin_group_chat, agents: [a], termination: {type: text_mention, text: DONE}}
"""


def registry_in(folder: Path, *, stream: bool) -> Registry:
    path = folder / "teamrun.yaml"
    path.write_text(FILE.replace("STREAM", str(stream).lower()), encoding="utf-8")
    return load_registry(path, environ={})


async def events_of(cluster: Cluster, ref: RunRef, *types: str) -> list[tuple[str, Any]]:
    events = [event for entry in await cluster.entries(ref) for event in entry.events]
    return [(event.type, event.data) for event in events if event.type in types]


@pytest.mark.parametrize("stream", [False, True])
async def test_the_record_names_the_profile_that_answered_and_has_its_price(
    tmp_path: Path, stream: bool
) -> None:
    registry = registry_in(tmp_path, stream=stream)
    cluster = Cluster({}, team=solo(), registry=registry)
    ref = await cluster.submit()
    await cluster.worker().execute(ref)

    events = await events_of(cluster, ref, "model.call.fell_back", "model.call.completed")
    names = [
        (type_, data.get("model"), data.get("fallback"), data.get("cost_usd"))
        for type_, data in events
    ]
    assert [(t, m, f, c and Decimal(str(c))) for t, m, f, c in names] == [
        ("model.call.completed", "m", None, 1),
        ("model.call.fell_back", "m", "second", None),
        ("model.call.fell_back", "second", "third", None),
        ("model.call.completed", "m", "third", 3),
        ("model.call.completed", "m", None, 1),
    ]
    assert events[1][1]["error"]["status_code"] == 503
    run = await cluster.service.get(TENANT, ref.run_id)
    assert (run.status, run.usage.cost_usd) == ("completed", 5)
    state = fold(await cluster.entries(ref))
    assert state is not None
    silent = Registry.of(teams={"team": solo()}, models={"m": ScriptedModel([])})
    assert await replay(cluster.log(ref), team_program(silent)(state.spec), cluster.clock) is None


@pytest.mark.parametrize("is_after", [False, True])
async def test_a_worker_that_dies_at_any_write_is_replaced_and_the_answers_are_the_same(
    tmp_path: Path, is_after: bool
) -> None:
    registry = registry_in(tmp_path, stream=False)
    dies_at = 0
    for dies_at in count(1):
        store = MemoryStore()
        cluster = Cluster({}, team=solo(), registry=registry, store=store)
        ref = await cluster.submit()
        mortal = MortalStore(store, dies_at=dies_at, is_after=is_after)
        dying = Cluster(
            {}, team=solo(), registry=registry, store=mortal, live=cluster.live, clock=cluster.clock
        )
        if not await until_dead(mortal, dying.worker("first").execute(ref)):
            break
        for owner in ("second", "third"):
            cluster.clock.shift += timedelta(minutes=3)  # the lease of the dead worker expires
            await cluster.worker(owner).execute(ref)
        records = [call for entry in await cluster.entries(ref) for call in calls_of(entry.body)]
        answers: list[Any] = [(call.value or {})["content"] for call in records]
        assert answers == ["one", "two", "DONE"], dies_at
        completed = await events_of(cluster, ref, "model.call.completed")
        named = [data.get("fallback") for _, data in completed]
        assert named == [None, "third", None], dies_at
    assert dies_at > 4, "the claim, steps, the end and the result"
