"""The parts of a process, opened from settings."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from teamrun.core.exposition import sample
from teamrun.core.refs import RunRef
from teamrun.errors import UsageError
from teamrun.live.base import Live
from teamrun.live.memory import MemoryLive
from teamrun.runs.log.announcer import STORE_LEASE_TIME
from teamrun.runs.log.archive import DUTIES
from teamrun.runs.log.entries import Entry
from teamrun.runs.log.log import RunLog
from teamrun.runs.log.state import RunState
from teamrun.runs.service.requests import RunRequest
from teamrun.runtime import Backends, Runtime, open_backends, open_runtime
from teamrun.settings import CommonSettings
from teamrun.storage.base import ObjectStore
from teamrun.storage.memory import MemoryStore
from teamrun.testing import MemoryQueue

FILE = """\
models: {main: {type: scripted, script: {poet: ["Rain."]}}}
agents: {poet: {model: main}}
teams: {poets: {type: round_robin_group_chat, agents: [poet], max_turns: 1}}
"""
NONE: Mapping[str, str] = {}
GRACE = timedelta(seconds=5)


@pytest.fixture
def settings(tmp_path: Path) -> CommonSettings:
    file = tmp_path / "teamrun.yaml"
    file.write_text(FILE, encoding="utf-8")
    return CommonSettings(config=file, data_dir=tmp_path)


ASKING = """\
agents: {boss: {type: user_proxy_agent}}
teams: {poets: {type: round_robin_group_chat, agents: [boss], max_turns: 1}}
"""


class Shared:
    """Opens backends that are there already."""

    def __init__(self, store: ObjectStore, live: Live, queue: MemoryQueue | None) -> None:
        self.backends = Backends(store, live, queue)

    def __call__(self, settings: CommonSettings) -> Backends:
        return self.backends


async def completed(runtime: Runtime) -> str | None:
    submitted = await runtime.service.submit("default", RunRequest(team="poets", input="rain"))
    run = await runtime.service.wait("default", submitted.run.id, timeout=timedelta(seconds=10))
    return run.output and run.output.text


REDIS = "redis://127.0.0.1:6379/0"


@pytest.mark.parametrize(
    ("given", "is_shared", "has_queue"),
    [
        ({}, True, False),
        ({"redis_url": REDIS}, True, True),
        ({"queue_url": REDIS}, False, True),
        ({"queue_url": REDIS, "redis_url": REDIS}, True, True),
    ],
    ids=["alone", "redis", "a queue without live state", "both"],
)
async def test_a_queue_without_redis_for_the_live_state_means_that_it_is_not_shared(
    settings: CommonSettings, given: dict[str, str], is_shared: bool, has_queue: bool
) -> None:
    opened = open_backends(settings.model_copy(update=given))
    try:
        assert opened.live.is_shared is is_shared
        assert (opened.dispatcher is not None) is has_queue
    finally:
        await opened.store.close()
        await opened.live.close()


async def test_a_process_without_shared_live_state_is_ready_without_redis(
    settings: CommonSettings,
) -> None:
    opens = Shared(MemoryStore(), MemoryLive(is_shared=False), MemoryQueue())
    async with open_runtime(
        settings, environ=NONE, executes=False, grace=GRACE, backends=opens
    ) as runtime:
        assert list(runtime.checks()) == ["storage"]


async def test_a_process_without_a_queue_executes_its_runs(settings: CommonSettings) -> None:
    opens = Shared(MemoryStore(), MemoryLive(), None)
    async with open_runtime(
        settings, environ=NONE, executes=False, grace=GRACE, backends=opens
    ) as runtime:
        assert await completed(runtime) == "Rain."
        assert runtime.metric_lines is not None
        assert list(runtime.checks()) == ["storage"]


async def test_with_a_queue_a_process_that_executes_nothing_only_sends(
    settings: CommonSettings,
) -> None:
    queue = MemoryQueue()
    opens = Shared(MemoryStore(), MemoryLive(), queue)
    async with open_runtime(
        settings, environ=NONE, executes=False, grace=GRACE, backends=opens
    ) as runtime:
        request = RunRequest(team="poets", input="rain")
        submitted = await runtime.service.submit("default", request)
        assert [ref.run_id for ref in queue.sent] == [submitted.run.id]
        assert runtime.executor is None
        assert sorted(runtime.checks()) == ["redis", "storage"]


@pytest.mark.parametrize("executes", [False, True])
async def test_all_parts_of_a_process_have_the_same_observers(
    settings: CommonSettings, executes: bool
) -> None:
    """What the service ends is counted where the engine's runs are."""
    opens = Shared(MemoryStore(), MemoryLive(), MemoryQueue())
    async with open_runtime(
        settings, environ=NONE, executes=executes, grace=GRACE, backends=opens
    ) as runtime:
        request = RunRequest(team="poets", input="rain")
        first = await runtime.service.submit("default", request)
        await runtime.service.cancel("default", first.run.id)
        ended = {("cancelled", "cancelled"): 1}
        if runtime.executor is not None:
            second = await runtime.service.submit("default", request)
            await runtime.executor.handle(RunRef("default", second.run.id))
            ended["completed", "max_turns"] = 1
        name = "teamrun_runs_ended_total"
        lines = {line for line in runtime.metric_lines() if line.startswith(name)}
        assert lines == {
            sample(name, count, {"status": status, "stop_code": code})
            for (status, code), count in ended.items()
        }


async def test_an_embedding_program_adds_observers_and_duties(settings: CommonSettings) -> None:
    seen, done = list[str](), list[str]()

    def observe(ref: RunRef, entry: Entry, state: RunState | None) -> None:
        seen.append(entry.body.kind)

    async def duty(store: ObjectStore, log: RunLog, state: RunState) -> None:
        done.append(state.status)

    opens = Shared(MemoryStore(), MemoryLive(), MemoryQueue())
    async with open_runtime(
        settings,
        environ=NONE,
        executes=True,
        grace=GRACE,
        backends=opens,
        observe=[observe],
        duties=[*DUTIES, duty],
    ) as runtime:
        request = RunRequest(team="poets", input="rain")
        cancelled = await runtime.service.submit("default", request)
        await runtime.service.cancel("default", cancelled.run.id)
        executed = await runtime.service.submit("default", request)
        assert runtime.executor is not None
        await runtime.executor.handle(RunRef("default", executed.run.id))
        assert await runtime.service.result("default", executed.run.id)
    assert seen.count("accepted") == seen.count("end") == 2
    assert done == ["cancelled", "completed"]


async def test_processes_of_different_stores_do_not_share_a_namespace(
    settings: CommonSettings,
) -> None:
    now = [0.0]
    live, queue, store = MemoryLive(clock=lambda: now[0]), MemoryQueue(), MemoryStore()
    ours, other = Shared(store, live, queue), Shared(MemoryStore(), live, queue)

    async def start(opens: Shared) -> None:
        async with open_runtime(
            settings, environ=NONE, executes=False, grace=GRACE, backends=opens
        ):
            pass

    await start(ours)
    await start(ours)
    with pytest.raises(UsageError) as caught:
        await start(other)
    assert caught.value.data["setting"] == "namespace"

    now[0] += STORE_LEASE_TIME.total_seconds() + 1  # the remedy: all are stopped for a minute
    await start(other)


@pytest.mark.parametrize(
    ("changes", "kept"), [({}, 1), ({"warm_seconds": 0.0}, 0), ({"warm_mb": 0}, 0)]
)
async def test_a_run_that_waits_for_a_person_stays_in_memory_if_the_settings_allow_it(
    settings: CommonSettings, changes: dict[str, float], kept: int
) -> None:
    settings.config.write_text(ASKING, encoding="utf-8")
    async with open_runtime(
        settings.model_copy(update=changes),
        environ=NONE,
        executes=True,
        grace=GRACE,
        backends=Shared(MemoryStore(), MemoryLive(), MemoryQueue()),
    ) as runtime:
        submitted = await runtime.service.submit("default", RunRequest(team="poets", input="rain"))
        assert runtime.executor is not None
        await runtime.executor.handle(RunRef("default", submitted.run.id))
        assert sample("teamrun_runs_warm", kept) in [*runtime.metric_lines()]
