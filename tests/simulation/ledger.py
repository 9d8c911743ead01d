"""The observations and guarantees outside of a simulated deployment; invariants check them."""

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from teamrun.runs.service.resources import Event

__all__ = ["Drive", "Ledger", "Said"]


class Said(NamedTuple):
    """A client's message to a run that was acknowledged."""

    run_id: str
    what: str
    """The id of a question, or the text of a message."""
    text: str = ""


@dataclass
class Drive:
    """The observations and calls of a run's code from its start on, in order.

    A run that is kept warm goes on in a later claim of the same worker.
    """

    run_id: str
    worker: str
    claimed: Callable[[], int] = lambda: 0
    """The epoch of the worker's newest claim."""
    begun: bool = False
    epoch: int = 0
    """The claim in which the code last did something."""
    claims: int = 0
    """In how many claims it did."""
    thread: list[tuple[Any, ...]] = field(default_factory=list[tuple[Any, ...]])
    sure: int = 0
    """How much of `thread` was durable when something was last done about it."""
    made: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])
    """Calls that were made, by id, each with its claim."""
    asked: set[str] = field(default_factory=set[str])
    """Questions to which it got an outcome."""
    heard: dict[str, str] = field(default_factory=dict[str, str])
    """Answers of persons by the id of the question."""
    messages: list[str] = field(default_factory=list[str])
    is_thawed: bool = False
    """The code began where a snapshot was made."""
    requests: dict[str, int] = field(default_factory=dict[str, int])
    """A digest of what each model call of a team asks, as its code requests it."""
    prompts: dict[str, int] = field(default_factory=dict[str, int])
    """The same, of the calls that were made."""
    faults: list[str] = field(default_factory=list[str])
    close: Callable[[], None] = lambda: None
    """Ends the code, which a killed process has left as it was."""

    def begin(self) -> None:
        """The code runs, perhaps anew, because another writer was first."""
        self.begun, self.sure = True, 0
        self.acts()
        for seen in (self.thread, self.asked, self.heard, self.messages, self.requests):
            seen.clear()

    def acts(self) -> None:
        """The code does something, perhaps in another claim than before."""
        epoch = self.claimed()
        self.claims += epoch != self.epoch
        self.epoch = epoch


@dataclass
class Ledger:
    """Acknowledgements, observations, and faults that were seen at once."""

    faults: list[str] = field(default_factory=list[str])
    accepted: set[str] = field(default_factory=set[str])
    batches: set[str] = field(default_factory=set[str])
    """Batches that were acknowledged."""
    by_key: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    cancelled: set[str] = field(default_factory=set[str])
    answers: list[Said] = field(default_factory=list[Said])
    messages: list[Said] = field(default_factory=list[Said])
    drives: defaultdict[str, list[Drive]] = field(default_factory=lambda: defaultdict(list))
    effects: Counter[tuple[str, str, str]] = field(default_factory=Counter[tuple[str, str, str]])
    """Effects made outside, by run, call id and kind."""
    events: defaultdict[str, dict[int, str]] = field(default_factory=lambda: defaultdict(dict))
    ended: dict[str, str] = field(default_factory=dict[str, str])
    """The final status that a client saw."""

    def latest(self, run_id: str, epoch: int) -> Drive | None:
        """The code that was driven last in a claim: it is built anew after a lost race."""
        drives = [drive for drive in self.drives[run_id] if drive.epoch == epoch]
        return drives[-1] if drives else None

    def fault(self, text: str) -> None:
        """Something that must not happen."""
        self.faults.append(text)

    def see(self, event: Event) -> None:
        """A client was given an event: the same number is always the same event."""
        text = event.model_dump_json()
        if self.events[event.run_id].setdefault(event.seq, text) != text:
            self.fault(f"I10 event {event.id} was told in two ways")

    def finished(self, run_id: str, status: str) -> None:
        """A client saw a final status."""
        if self.ended.setdefault(run_id, status) != status:
            self.fault(f"I1 {run_id} was {self.ended[run_id]}, then {status}")
