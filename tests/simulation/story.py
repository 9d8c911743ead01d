"""The contents of a finished log for the invariants, and whether it is a valid log."""

from collections import Counter
from dataclasses import dataclass, field

from teamrun.core.refs import RunRef
from teamrun.runs.log.entries import Claim, End, Entry, Intent, Signal, Wait, Yield, calls_of
from teamrun.runs.log.state import RunState

__all__ = ["Story"]


@dataclass
class Story:
    """One run, read from its log."""

    ref: RunRef
    entries: list[Entry]
    state: RunState
    prefix: list[Entry]
    """The part that it shares with the run that it was forked from."""
    signals: list[Signal] = field(default_factory=list[Signal])
    recorded: dict[str, int] = field(default_factory=dict[str, int])
    """The epoch in which the outcome of a call was recorded."""
    outcomes: Counter[str] = field(default_factory=Counter[str])
    intended: set[str] = field(default_factory=set[str])
    withdrawn: set[str] = field(default_factory=set[str])
    """Questions that run code stopped asking."""
    claims: dict[str, list[int]] = field(default_factory=dict[str, list[int]])
    """Epochs by owner."""
    attempt: int = 0
    """The last epoch before the newest attempt; a retry forgets what had failed."""

    def __post_init__(self) -> None:
        for entry in self.prefix:
            self.recorded.update(dict.fromkeys((c.call_id for c in calls_of(entry.body)), 0))
        for entry in self.entries:
            self._hear(entry)
            self.withdrawn |= {
                event.data["action_id"]
                for event in entry.events
                if event.data.get("decision") == "withdrawn"
            }

    def _hear(self, entry: Entry) -> None:
        calls = calls_of(entry.body)
        self.recorded.update({call.call_id: entry.epoch for call in calls})
        self.outcomes.update(call.call_id for call in calls)
        match entry.body:
            case Claim() as claim:
                self.claims.setdefault(claim.owner, []).append(entry.epoch)
            case Intent() as intent:
                self.intended |= intent.calls.keys()
            case Signal() as signal:
                self.signals.append(signal)
                if signal.action_id is not None:
                    self.outcomes[signal.action_id] += 1
            case Yield(why="retry") as again:
                self.attempt = entry.epoch
                assert again.undo is not None
                # Calls after the failure may be made in another way.
                order = list(self.recorded)
                first = min(map(order.index, again.undo.calls))
                for call_id in order[first:]:
                    if call_id in again.undo.calls or call_id not in self.intended:
                        self.recorded.pop(call_id)
                        self.outcomes.pop(call_id, None)
            case _:
                pass

    @property
    def end(self) -> End:
        """How it ended."""
        assert self.state.end is not None
        return self.state.end

    @property
    def is_by_code(self) -> bool:
        """Whether its code ended by itself, so that a replay has the same end."""
        return self.end.status == "completed" or self.end.stop_code in (
            "outcome_unknown",
            "model_error",
        )

    @property
    def is_of_team(self) -> bool:
        """Whether its code is a real team."""
        return self.state.spec.team.id is None

    def told(self) -> str:
        """The kinds of its entries."""
        return " ".join(
            entry.body.signal if isinstance(entry.body, Signal) else entry.body.kind
            for entry in self.entries
        )

    def misshapen(self) -> list[str]:
        """The violations of the log itself."""
        found: list[str] = []
        seq, epoch, at = 1, 0, self.entries[0].at
        for n, entry in enumerate(self.entries):
            if entry.n != n:
                found.append(f"I2 entry {n} says it is {entry.n}")
            if entry.seq != seq:
                found.append(f"I10 entry {n} begins at event {entry.seq}, not {seq}")
            epoch += isinstance(entry.body, Claim)
            if entry.epoch != epoch:
                found.append(f"I4 a {entry.body.kind} of epoch {entry.epoch} in epoch {epoch}")
            if entry.at < at:
                found.append(f"entry {n} goes back in time")
            seq, at = entry.seq + len(entry.events), entry.at
            if isinstance(entry.body, Yield | Wait) and entry.body.why == "diverged":
                found.append("its code and its record went apart")
        twice = [call_id for call_id, times in self.outcomes.items() if times > 1]
        found += [f"I5 {call_id} has several outcomes" for call_id in twice]
        keys = [signal.key for signal in self.signals if signal.key]
        if len(keys) != len(set(keys)):
            found.append("I9 one key, two signals")
        return found
