"""The parts that find work which no message names, composed for `runtime.py`.

`runtime.py` imports this at first use: a function that only executes runs needs none of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from teamrun.batches.feeder import Feeder
from teamrun.batches.hooks import pre_commit
from teamrun.batches.in_flight import items_in_flight
from teamrun.core.clock import Clock
from teamrun.core.refs import RunRef
from teamrun.dispatch.base import Dispatcher
from teamrun.live.base import Live
from teamrun.rounds import Rounds
from teamrun.runs.engine.dead_letters import DeadLetters
from teamrun.runs.engine.executor import Sweeper, Sweepers
from teamrun.runs.engine.ownership import Ownership
from teamrun.runs.engine.reaper import Reaper
from teamrun.runs.engine.reclaim import ReclaimingSweeper
from teamrun.runs.engine.upkeep import Wake
from teamrun.runs.log.archive import Duty
from teamrun.runs.log.observers import Observers
from teamrun.runs.service.cancelling import cancel_run
from teamrun.storage.base import ObjectStore
from teamrun.storage.proof import store_identity
from teamrun.webhooks.parts import WebhookParts

__all__ = ["Upkeep", "compose_upkeep"]


@dataclass(frozen=True, kw_only=True)
class Upkeep:
    """The parts of a process that executes runs."""

    sweeper: Sweeper
    """Finds lost runs and drives batches, as a background task."""
    rounds: Rounds
    """Does what the background tasks do, for a process that has none."""
    dead_letters: DeadLetters
    """Settles messages that the queue has given up."""


def compose_upkeep(
    *,
    store: ObjectStore,
    live: Live,
    dispatcher: Dispatcher,
    observers: Observers,
    webhooks: WebhookParts,
    owner: str,
    reclaims: bool,
    lease: timedelta,
    retention: timedelta | None,
    interval: timedelta,
    clock: Clock,
    duties: Sequence[Duty],
    wake: Wake,
) -> Upkeep:
    """Create the parts of a process.

    Args:
        store: Where logs, markers and records are.
        live: The live state.
        dispatcher: The queue.
        observers: What follows each entry that this process appends.
        webhooks: Those of this process, which delivers.
        owner: The name of this process.
        reclaims: Whether it keeps this name after a crash, and then resumes its runs.
        lease: How long a silent process keeps its runs.
        retention: How long runs are kept after their end; None keeps them.
        interval: The pause between two sweeps.
        clock: The clock.
        duties: The steps to perform after the end of each run.
        wake: Gives a run of a thread its turn if that has come.
    """
    assert webhooks.delivery is not None, "a process that executes runs delivers, too"

    async def cancel(ref: RunRef, reason: str | None) -> None:
        await cancel_run(
            ref,
            reason,
            store=store,
            live=live,
            dispatcher=dispatcher,
            clock=clock,
            duties=duties,
            observers=observers,
        )

    reaper = Reaper(
        store=store,
        live=live,
        dispatcher=dispatcher,
        owner=owner,
        lease=lease,
        interval=interval,
        clock=clock,
        retention=retention,
        identify=partial(store_identity, store),
        observers=observers,
        wake=wake,
    )
    sweeper: Sweeper = reaper
    if reclaims:
        sweeper = ReclaimingSweeper(
            reaper,
            owner=owner,
            store=store,
            live=live,
            dispatcher=dispatcher,
            further=partial(items_in_flight, store, clock),
        )
    feeder = Feeder(
        store=store,
        live=live,
        dispatcher=dispatcher,
        owner=owner,
        cancel=cancel,
        lease=lease,
        interval=interval,
        clock=clock,
        observers=observers.rows,
        retention=retention,
        pre_commit=partial(pre_commit, webhooks.outbox),
        pre_erase=webhooks.closing.pre_erase,
        run_pre_commit=observers.pre_commit,
    )
    return Upkeep(
        sweeper=Sweepers(sweeper, feeder),
        rounds=Rounds(
            reaper=reaper,
            feeder=feeder,
            deliverer=webhooks.delivery.deliverer,
            clock=clock,
            interval=interval,
        ),
        dead_letters=DeadLetters(
            store=store,
            dispatcher=dispatcher,
            owner=owner,
            clock=clock,
            observers=observers,
            ownership=Ownership(live=live, owner=owner, lease=lease, clock=clock),
            duties=duties,
        ),
    )
