"""The parts of one process, composed in one place for every host.

The API, the worker, the command line and embedding programs open a `Runtime`; each defines only
whether it executes runs, and what triggers it.
"""

import asyncio
import os
import platform
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cache, cached_property, partial
from typing import TYPE_CHECKING, NamedTuple

from teamrun.batches.ends import ItemEnds
from teamrun.batches.hooks import BatchSource, pre_commit
from teamrun.components.fallbacks import check_fallbacks
from teamrun.components.registry import Registry
from teamrun.components.team_file import load_registry
from teamrun.core.clock import Clock, SystemClock
from teamrun.core.exposition import MetricLines
from teamrun.core.refs import RunRef
from teamrun.dispatch.base import Dispatcher
from teamrun.dispatch.local import LocalDispatcher
from teamrun.dispatch.open import open_dispatcher
from teamrun.errors import DeliveryError, StorageError, UsageError
from teamrun.live.base import Live
from teamrun.live.open import open_live
from teamrun.live.pace import follow_pace
from teamrun.net.destinations import Destinations
from teamrun.redis.watch import watch_redis
from teamrun.runs.log.announcer import STORE_LEASE, STORE_LEASE_TIME
from teamrun.runs.log.archive import DUTIES, Duty, write_events
from teamrun.runs.log.log import LogObserver
from teamrun.runs.log.observers import Observers
from teamrun.runs.service.cancelling import cancel_run
from teamrun.settings import CommonSettings
from teamrun.storage.address import check_shareable, key_prefix, store_namespace
from teamrun.storage.base import ObjectStore
from teamrun.storage.open import open_store
from teamrun.storage.proof import prove_store, store_identity
from teamrun.threads.turns import ThreadTurns
from teamrun.webhooks.parts import WebhookParts, compose_webhooks

if TYPE_CHECKING:
    from teamrun.batches.service import BatchService
    from teamrun.batches.sources import Sources
    from teamrun.catalog.service import TeamService
    from teamrun.catalog.stored import StoredTeams
    from teamrun.runs.engine.executor import Executor
    from teamrun.runs.service.service import RunService
    from teamrun.telemetry import Telemetry
    from teamrun.threads.service import ThreadService
    from teamrun.upkeep import Upkeep
    from teamrun.webhooks.service import WebhookService

__all__ = [
    "Backends",
    "OpenBackends",
    "Runtime",
    "compose",
    "namespace_of",
    "open_backends",
    "open_runtime",
]

_CAPACITY = 200

_WARM_FOR, _WARM_BYTES = timedelta(minutes=5), 64_000_000


class Backends(NamedTuple):
    """The backends that the processes of one deployment share."""

    store: ObjectStore
    live: Live
    dispatcher: Dispatcher | None
    """None if there is no queue: the process executes its runs itself."""


OpenBackends = Callable[[CommonSettings], Backends]
"""Opens the backends that settings name; a test may put its own in their place."""


def namespace_of(settings: CommonSettings) -> str:
    """The prefix of every key and queue of the deployment.

    Raises:
        UsageError: The store URL is invalid.
    """
    return key_prefix(settings.namespace or store_namespace(settings.store_url))


def open_backends(settings: CommonSettings) -> Backends:
    """Open the store, the live state and the queue that settings name.

    A queue means that there are other processes, so without Redis for the live state each process
    has its own. Without a queue, this process executes all runs and is the whole deployment.

    Raises:
        UsageError: A setting is invalid.
        StorageError: The store cannot be opened.
    """
    prefix = namespace_of(settings)
    if settings.queue is not None:
        check_shareable(settings.store_url)
    return Backends(
        store=open_store(settings.store_url, fsync=settings.fsync),
        live=open_live(settings.redis_url, prefix=prefix, is_alone=settings.queue is None),
        dispatcher=open_dispatcher(settings.queue, prefix=prefix, setting=settings.queue_setting),
    )


@dataclass(kw_only=True, eq=False, repr=False)
class Runtime:
    """The parts of one process."""

    registry: Registry
    store: ObjectStore
    live: Live
    dispatcher: Dispatcher
    observers: Observers
    """What follows each entry that this process appends."""
    duties: Sequence[Duty] = DUTIES
    """The steps to perform after the end of a run."""
    executor: "Executor | None" = None
    """None if other processes execute the runs."""
    upkeep: "Callable[[], Upkeep] | None" = None
    """What finds work that no message names; imported at first use. None without executor."""
    metric_lines: MetricLines
    """The runs of this process, in the Prometheus text format."""
    clock: Clock | None = None
    destinations: Destinations
    """Where requests with a URL from input may go."""
    webhooks: WebhookParts
    turns: ThreadTurns
    """The order of the runs of threads."""
    sources: "Sources | None" = None
    """The inputs of batches that URLs can name; None if there are none."""
    is_frozen: bool = False
    """Whether the platform freezes the processes of the deployment between calls. A batch is sent
    to the queue `hooks` then, as no process listens for notices."""
    telemetry: "Telemetry | None" = None
    """None if no collector is configured."""

    @cached_property
    def stored_teams(self) -> "StoredTeams":
        """The teams that clients have stored; imported at first use, as workers need none."""
        from teamrun.catalog.stored import StoredTeams

        return StoredTeams(self.store)

    @cached_property
    def teams(self) -> "TeamService":
        """Registers and describes teams; imported at first use, as workers need none."""
        from teamrun.catalog.service import TeamService

        return TeamService(
            registry=self.registry,
            teams=self.service.teams,
            stored=self.stored_teams,
            store=self.store,
            clock=self.clock or SystemClock(),
        )

    @cached_property
    def service(self) -> "RunService":
        """Accepts, lists, follows and steers runs; imported at first use, as workers need none."""
        from teamrun.catalog.lookup import TeamLookup
        from teamrun.runs.service.service import RunService

        return RunService(
            store=self.store,
            live=self.live,
            dispatcher=self.dispatcher,
            registry=self.registry,
            catalog=TeamLookup(self.registry, self.stored_teams),
            clock=self.clock,
            duties=self.duties,
            observers=self.observers,
            destinations=self.destinations,
            webhooks_at=self.webhooks.endpoints.changed_at,
            threads=self.turns,
        )

    @cached_property
    def threads(self) -> "ThreadService":
        """Creates and reads threads; imported at first use, as workers need none."""
        from teamrun.threads.service import ThreadService

        return ThreadService(
            store=self.store,
            turns=self.turns,
            read_run=self.service.get,
            clock=self.clock or SystemClock(),
        )

    @cached_property
    def webhook_service(self) -> "WebhookService":
        """Webhooks, and their deliveries; imported at first use, as workers need none."""
        from teamrun.webhooks.service import WebhookService

        return WebhookService(
            store=self.store,
            secrets=self.webhooks.secrets,
            endpoints=self.webhooks.endpoints,
            sources=self.webhooks.sources,
            sender=self.webhooks.sender,
            destinations=self.destinations,
            clock=self.clock or SystemClock(),
        )

    @cached_property
    def batches(self) -> "BatchService":
        """Accepts, lists and steers batches, and has the uploaded files; imported at first use."""
        from teamrun.batches.hints import send_hint
        from teamrun.batches.service import BatchService
        from teamrun.batches.webhooks import BatchWebhooks

        return BatchService(
            store=self.store,
            live=self.live,
            teams=self.service.teams,
            clock=self.clock,
            sources=self.sources,
            wake=partial(send_hint, self.dispatcher) if self.is_frozen else None,
            webhooks=BatchWebhooks(
                destinations=self.destinations,
                changed_at=self.webhooks.endpoints.changed_at,
                pre_commit=partial(pre_commit, self.webhooks.outbox),
                pre_erase=self.webhooks.closing.pre_erase,
            ),
        )

    def checks(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        """The checks that must pass for the process to be ready, by name."""
        checks: dict[str, Callable[[], Awaitable[None]]] = {"storage": self.store.check}
        if not isinstance(self.dispatcher, LocalDispatcher) and self.live.is_shared:
            checks["redis"] = self.live.ping
        return checks

    async def settled(self) -> None:
        """Return when this process has nothing in progress besides its background tasks.

        For a process that is frozen afterwards: notices are sent, jobs of webhooks are sent or
        tried once, and a collector has the spans.
        """
        await self.observers.notices.flushed()
        await self.webhooks.settled()
        if self.telemetry is not None:
            await asyncio.to_thread(self.telemetry.flush)

    async def shutdown(self, grace: timedelta) -> None:
        """Stop executing, send the notices that wait, and close the queue.

        Store, live state and registry stay open: their opener closes them.

        Args:
            grace: Time for calls in progress to complete.
        """
        if self.executor is not None:
            await self.executor.shutdown(grace)
        if "service" in self.__dict__:
            await self.service.close()
        await self.webhooks.shutdown(grace)
        await self.dispatcher.close()


def compose(
    backends: Backends,
    registry: Registry,
    *,
    executes: bool = True,
    name: str | None = None,
    lease: timedelta = timedelta(seconds=60),
    handover: timedelta = timedelta(seconds=30),
    retention: timedelta | None = None,
    capacity: int = _CAPACITY,
    warm_for: timedelta = _WARM_FOR,
    warm_bytes: int = _WARM_BYTES,
    sweep: timedelta = timedelta(seconds=5),
    clock: Clock | None = None,
    observe: Sequence[LogObserver] = (),
    duties: Sequence[Duty] = DUTIES,
    allowed_hosts: Sequence[str] = (),
) -> Runtime:
    """Create the parts of a process over open backends.

    Args:
        backends: Storage, live state and queue. Without a dispatcher, runs are executed here.
        registry: Models, tools and teams.
        executes: Whether this process executes runs although there is a queue.
        name: A stable name of this process that no other has at the same time. With one, it resumes
            its runs at start after a crash.
        lease: How long a silent process keeps its runs.
        handover: How long before the platform ends the process runs are handed over.
        retention: How long runs are kept after their end; None keeps them.
        capacity: Maximum number of runs executed at once if there is no queue.
        warm_for: How long a run that waits for a person stays in memory; zero keeps none.
        warm_bytes: Maximum memory of these runs.
        sweep: The interval between checks of all open runs.
        clock: The machine's, unless a test has one.
        observe: Called after each entry that this process appends, besides the usual observers.
        duties: The steps to perform after the end of each run, all of them.
        allowed_hosts: Further destinations of webhooks; see `net.destinations`.

    Raises:
        UsageError: An entry of `allowed_hosts` has another form.
    """
    clock = clock or SystemClock()
    destinations = Destinations(allowed_hosts)
    owner = name or f"{platform.node()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    webhooks = compose_webhooks(
        store=backends.store,
        live=backends.live,
        dispatcher=backends.dispatcher,
        delivers=executes or backends.dispatcher is None,
        destinations=destinations,
        owner=owner,
        interval=sweep,
        clock=clock,
        further={"bat_": BatchSource(backends.store, clock)},
    )

    async def handle(ref: RunRef) -> None:
        await executor.handle(ref)

    dispatcher = backends.dispatcher or LocalDispatcher(handle, capacity=capacity)

    async def cancel(ref: RunRef, reason: str) -> None:
        await cancel_run(
            ref,
            reason,
            store=backends.store,
            live=backends.live,
            dispatcher=dispatcher,
            clock=clock,
            duties=duties,
            observers=observers,
        )

    threads = ThreadTurns(
        store=backends.store,
        live=backends.live,
        clock=clock,
        dispatcher=dispatcher,
        cancel=cancel,
        writer=owner,
    )
    items = ItemEnds(backends.live)
    only_executes = executes and backends.dispatcher is not None
    observers = Observers(
        backends.live,
        items.appended,
        *observe,
        pre_commit=(webhooks.outbox.pre_commit,),
        pre_erase=(threads.pre_erase, webhooks.closing.pre_erase),
        views=backends.live.is_shared or not only_executes,
    )

    # Before the result: where that is found, the reaper takes all duties as performed.
    duties = (threads.follow, *duties, items.record)
    if backends.dispatcher is not None and not executes:
        return Runtime(
            registry=registry,
            store=backends.store,
            live=backends.live,
            dispatcher=dispatcher,
            observers=observers,
            duties=duties,
            metric_lines=observers.metrics.lines,
            clock=clock,
            destinations=destinations,
            webhooks=webhooks,
            turns=threads,
        )
    from teamrun.runs.durable.team import team_program
    from teamrun.runs.engine.engine import Engine
    from teamrun.runs.engine.executor import Executor
    from teamrun.runs.engine.warm import WarmRuns

    def metric_lines() -> Iterator[str]:
        yield from engine.metric_lines()
        yield from registry.pacing.metric_lines()
        yield from webhooks.lines()

    registry.pacing.share(backends.live)
    registry.share_answers(backends.live)

    engine = Engine(
        store=backends.store,
        live=backends.live,
        dispatcher=dispatcher,
        program=team_program(registry, threads=threads.before),
        owner=owner,
        lease=lease,
        clock=clock,
        duties=duties,
        observers=observers,
        warm=WarmRuns(keep=warm_for, most_bytes=warm_bytes, clock=clock),
        handover=handover,
        is_turn=threads.is_turn,
    )

    @cache
    def upkeep() -> "Upkeep":
        from teamrun.upkeep import compose_upkeep

        return compose_upkeep(
            store=backends.store,
            live=backends.live,
            dispatcher=dispatcher,
            observers=observers,
            webhooks=webhooks,
            owner=owner,
            reclaims=name is not None,
            lease=lease,
            retention=retention,
            interval=sweep,
            clock=clock,
            duties=duties,
            wake=threads.wake,
        )

    executor = Executor(engine, lambda: upkeep().sweeper)
    return Runtime(
        registry=registry,
        store=backends.store,
        live=backends.live,
        dispatcher=dispatcher,
        observers=observers,
        duties=duties,
        executor=executor,
        upkeep=upkeep,
        metric_lines=metric_lines,
        clock=clock,
        destinations=destinations,
        webhooks=webhooks,
        turns=threads,
    )


@asynccontextmanager
async def open_runtime(
    settings: CommonSettings,
    *,
    environ: Mapping[str, str],
    executes: bool,
    grace: timedelta,
    reachable_by: str | None = None,
    name: str | None = None,
    backends: OpenBackends = open_backends,
    observe: Sequence[LogObserver] = (),
    duties: Sequence[Duty] = DUTIES,
    batch_inputs: Sequence[str] = (),
    input_limit: int = 1024 * 1024 * 1024,
    is_frozen: bool = False,
) -> AsyncGenerator[Runtime, None]:
    """Open the parts of a process, start its background tasks, and close everything at the end.

    Args:
        settings: Of the process.
        environ: The environment variables for the operator's file.
        executes: Whether this process executes runs although there is a queue.
        grace: Time for calls in progress to complete at the end.
        reachable_by: By what other machines reach the process; None if they do not. Then a script
            may answer in place of a model whose variables are not set.
        name: See `compose`.
        backends: Opens store, live state and queue.
        observe: See `compose`.
        duties: See `compose`.
        batch_inputs: The prefixes of URLs that batches may name as their input.
        input_limit: Maximum size of such an input in bytes.
        is_frozen: Whether the platform freezes the process between calls. It has no background
            tasks then; see `Runtime.upkeep` and `Runtime.settled`.

    Raises:
        UsageError: A setting or the operator's file is invalid, or the store cannot be used.
        StorageError: The store cannot be opened.
    """
    async with AsyncExitStack() as stack:
        imports = executes or settings.queue is None
        registry = load_registry(settings.config, environ=environ, imports=imports)
        stack.push_async_callback(registry.close)
        check_fallbacks(registry, reachable_by=reachable_by, allowed=settings.allow_scripted)
        opened = backends(settings)
        stack.push_async_callback(opened.store.close)
        stack.push_async_callback(opened.live.close)
        telemetry: Telemetry | None = None
        if any(name.startswith("OTEL_EXPORTER_OTLP_") for name in environ):
            from teamrun.telemetry import open_telemetry

            telemetry = open_telemetry(environ, registry)
        if telemetry is not None:
            stack.push_async_callback(telemetry.close)
            observe = (*observe, telemetry.observer.appended)
        if executes or opened.dispatcher is None:
            registry.preload()  # a tool that cannot be imported ends the start, not the first run
        await prove_store(opened.store)
        if opened.dispatcher is not None:
            await _check_namespace(opened)
        runtime = compose(
            opened,
            registry,
            executes=executes,
            name=name,
            lease=settings.lease,
            handover=settings.handover,
            retention=settings.retention,
            capacity=settings.max_runs,
            warm_for=settings.warm,
            warm_bytes=settings.warm_mb * 1_000_000,
            observe=observe,
            # The result comes last: where it is found, the reaper takes all duties as performed.
            duties=(write_events, *duties) if settings.archive_events else duties,
            allowed_hosts=settings.allowed_hosts,
        )
        runtime.is_frozen = is_frozen
        runtime.telemetry = telemetry
        if batch_inputs:
            runtime.sources = _sources(batch_inputs, input_limit, settings.store_url)
            stack.push_async_callback(runtime.sources.close)
        stack.push_async_callback(registry.pacing.close)
        stack.push_async_callback(runtime.shutdown, grace)
        if is_frozen:
            yield runtime
            return
        if runtime.executor is not None:
            runtime.executor.start()
        runtime.webhooks.start()
        if settings.redis_url is not None:
            watching = asyncio.create_task(watch_redis(runtime.live.ping))
            stack.callback(watching.cancel)
            if runtime.executor is not None:
                following = asyncio.create_task(follow_pace(opened.live, registry.pacing))
                stack.callback(following.cancel)
        yield runtime


def _sources(prefixes: Sequence[str], limit: int, store_url: str) -> "Sources":
    from teamrun.batches.sources import Sources

    return Sources(prefixes, limit=limit, apart_from=store_url)


async def _check_namespace(backends: Backends) -> None:
    """Refuse to share a queue with processes that have another store.

    They would take each other's messages from the queue and find no run.

    Raises:
        UsageError: Another store was used under this namespace within the last minute.
    """
    try:
        identity = await store_identity(backends.store)
        is_ours = await backends.live.acquire(STORE_LEASE, identity, STORE_LEASE_TIME)
    except (StorageError, DeliveryError):
        return  # neither has to answer when a process starts; the reaper looks again
    if not is_ours:
        raise UsageError(
            "Another store is used under the same namespace in Redis. Give all processes of a "
            "deployment the same store (TEAMRUN_STORE_URL), and each deployment a namespace of its "
            "own (TEAMRUN_NAMESPACE). If the store was replaced, stop all processes for a minute.",
            setting="namespace",
        )
