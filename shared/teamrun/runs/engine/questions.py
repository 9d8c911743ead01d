"""Open questions to people, and the events that clients see of them."""

from collections.abc import Mapping

from teamrun.runs.log.entries import LoggedEvent
from teamrun.runs.log.status import RequiredAction

__all__ = ["Questions", "required", "withdrawn"]


def required(action: RequiredAction) -> LoggedEvent:
    """The event of a question."""
    data = action.model_dump(mode="json")
    return LoggedEvent(type="run.input_required", agent=action.agent, data=data)


def withdrawn(action: RequiredAction) -> LoggedEvent:
    """The event of a question that run code no longer asks."""
    data = {"action_id": action.id, "decision": "withdrawn"}
    return LoggedEvent(type="run.input_received", agent=action.agent, data=data)


class Questions:
    """The questions that run code asks at present, and those that were answered."""

    def __init__(self) -> None:
        self.asked: dict[str, RequiredAction] = {}
        self.answered: set[str] = set()

    def reverting_to(self, before: Mapping[str, RequiredAction]) -> list[LoggedEvent]:
        """Events that revert what has been asked and withdrawn since `before`.

        Run code withdraws its questions when it fails, and may ask new ones first. The retry
        continues before that point, so the clients must see the earlier questions again.
        """
        new = [action for action in self.asked.values() if action.id not in before]
        gone = [action for action in before.values() if action.id not in self.asked]
        again = [action for action in gone if action.id not in self.answered]
        return [*map(withdrawn, new), *map(required, again)]
