"""A team whose members speak once each, one after another."""

from collections.abc import Sequence

from teamrun.teams.staged import StagedTeam

__all__ = ["SequentialGroupChat"]


class SequentialGroupChat(StagedTeam):
    """A chain: each member speaks once, in the order in which they are given.

    See `StagedTeam` and `BaseGroupChat` for the rest.

    Args:
        participants: Agents and teams.
        options: Arguments of `BaseGroupChat`.

    Raises:
        ValueError: There is no participant, or two have one name.
    """

    def _speakers(self, step: int) -> Sequence[str]:
        return self._names[step : step + 1]
