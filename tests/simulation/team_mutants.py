"""The rules of teams at work in runs, each broken once: the simulator has to notice them."""

from typing import Any

from tests.simulation.mutant import Mutant, Patch

from teamrun.agents.assistant import AssistantAgent
from teamrun.runs.engine import drafts
from teamrun.runs.engine.admission import Gate
from teamrun.runs.engine.calls import record_of
from teamrun.runs.log.entries import CallRecord, LoggedEvent

__all__ = ["TEAM_MUTANTS"]


def _forget_what_a_model_was_told(patch: Patch) -> None:
    async def forget(self: Any, state: Any) -> None:
        pass

    patch.setattr(AssistantAgent, "load_state", forget)


def _await_losers(patch: Patch) -> None:
    def awaited(done: Any, *, unawaited: bool, versions: dict[str, int]) -> CallRecord:
        return record_of(done, unawaited=False, versions=versions)

    patch.setattr(drafts, "record_of", awaited)


def _hold_events_of_losers_back(patch: Patch) -> None:
    announced, foresee = Gate.announced, Gate.foresee

    def foresee_losers(self: Any, records: Any) -> None:
        foresee(self, records)
        fresh, pending = self._journal.fresh, self._journal.pending
        if self._refused is None and self._is_counted():
            self._refused = next((call for call in fresh if call.call_id not in pending), None)

    def held_back(self: Any) -> list[LoggedEvent]:
        refused = self._refused
        if refused is None:
            return announced(self)
        ids = [event.data.get("call_id") for event in self._journal.events]
        return self._journal.events[: ids.index(refused.call_id)] if refused.call_id in ids else []

    patch.setattr(Gate, "announced", held_back)
    patch.setattr(Gate, "foresee", foresee_losers)


TEAM_MUTANTS = (
    Mutant(
        "teams: forget in a snapshot what a model was told",
        _forget_what_a_model_was_told,
        has_teams=True,
        seed=173856279357377,
    ),
    Mutant(
        "teams: record the calls of losers as awaited",
        _await_losers,
        has_teams=True,
        seed=241574096902861,
    ),
    Mutant(
        "teams: hold back the events of losers at a limit",
        _hold_events_of_losers_back,
        has_teams=True,
        seed=4937490920697,
    ),
)
