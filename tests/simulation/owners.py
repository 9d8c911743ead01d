"""Who executes each run, as the entries of the logs say (I13 and I14)."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from tests.simulation.ledger import Drive
from tests.simulation.processes import TENANT, Process, Worker
from tests.simulation.weather import LEASE

from teamrun.core.refs import RunRef
from teamrun.runs.log.entries import Claim, Entry, read_entry
from teamrun.runs.log.keys import log_folder

if TYPE_CHECKING:
    from tests.simulation.deployment import Deployment

__all__ = ["Owners"]


class Owners:
    """The owners of all runs of a world."""

    def __init__(self, world: "Deployment") -> None:
        self._world = world
        self._owners: dict[str, str] = {}
        self._terms: dict[tuple[str, str], datetime] = {}
        self._fixed: set[tuple[str, str]] = set()
        """Those that nothing extends, since the platform ends the owner."""

    def appended(self, process: Process, run_id: str, data: bytes) -> str:
        """An entry was written; returns its kind."""
        kind = data.partition(b'"kind":"')[2].partition(b'"')[0].decode()
        if not process.live.is_shared and kind in ("claim", "step", "intent"):
            self._note_term(process, run_id, read_entry(data))
        if kind == "claim":
            self._claimed(process, run_id)
        elif kind in ("wait", "yield", "end"):
            self._owners.pop(run_id, None)
        return kind

    def _note_term(self, process: Process, run_id: str, entry: Entry) -> None:
        """An owner has begun its term, or renewed it."""
        term, claim = (run_id, process.name), entry.body
        if isinstance(claim, Claim) and claim.until is not None and claim.term_seconds is None:
            self._fixed.add(term)
            self._terms[term] = claim.until
        elif isinstance(claim, Claim) or term not in self._fixed:
            self._fixed.discard(term)
            self._terms[term] = entry.at + timedelta(seconds=LEASE)

    def check_term(self, process: Process, run_id: str, call_id: str) -> None:
        """A call starts: only within the term of its owner, as that one's clock says."""
        until = self._terms.get((run_id, process.name))
        is_frozen = process.frozen_until > self._world.now
        if until is not None and not is_frozen and process.clock.now() >= until:
            text = f"I14 {process.name} began {call_id} after its term ({run_id})"
            self._world.ledger.fault(text)

    def check_cause(self, drive: Drive, call_id: str) -> None:
        """A call inside a turn starts: the one before it is on record, so a crash repeats one."""
        turn, inside, _ = call_id.rpartition("/")
        if not inside or "/agent:" not in f"/{turn}":
            return
        begun = [made for made, epoch in drive.made if epoch == drive.epoch]
        before = [made for made in begun if made.startswith(f"{turn}/")]
        folder = log_folder(RunRef(TENANT, drive.run_id))
        log = [data for _, data in self._world.objects(folder)] if before else []
        for made in before:
            if not any(f'"{made}"'.encode() in data for data in log):
                text = f"I6 {call_id} began before {made} was durable ({drive.run_id})"
                self._world.ledger.fault(text)

    def let_go(self, ref: RunRef, owner: str) -> None:
        """An owner has come to the end of its execution, if only since storage did not answer."""
        if self._owners.get(ref.run_id) == owner:
            del self._owners[ref.run_id]

    def _claimed(self, process: Process, run_id: str) -> None:
        """A run is taken over only if its owner could not renew the lease."""
        world = self._world
        world.stats["claims"] += 1
        owner = world.processes.get(self._owners.get(run_id, ""))
        self._owners[run_id] = process.name
        if not isinstance(owner, Worker) or owner is process:
            return
        world.stats["taken over"] += 1
        world.stats["taken over without shared live state"] += not process.live.is_shared
        ref = RunRef(TENANT, run_id)
        steady = world.now - owner.steady_since >= 2 * LEASE
        if owner.alive and owner.executing[ref] and steady:
            world.ledger.fault(f"I13 {ref} was taken from {owner.name}, which was well")
