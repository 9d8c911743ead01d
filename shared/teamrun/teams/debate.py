"""A team whose members debate; a judge decides."""

from collections.abc import Sequence
from typing import Final, Unpack

from teamrun.core.checks import checked_count
from teamrun.core.protocols import ChatAgent, Team
from teamrun.teams.staged import StagedTeam, TeamOptions

__all__ = ["DebateGroupChat"]

_REPLY: Final = (
    "You have heard all positions. Reply to the others: name the errors in their arguments, and "
    "correct your own position where they are right."
)
_JUDGE: Final = (
    "The debate is over. Judge it: weigh the arguments, and give the answer that they support best."
)


class DebateGroupChat(StagedTeam):
    """A team whose members state their positions and reply to each other; then a judge decides.

    In each round all debaters speak at the same time, and hear the others after it. See
    `StagedTeam` and `BaseGroupChat` for the rest.

    Args:
        participants: Agents and teams: at least two debaters, and the judge.
        judge: The name of the participant that judges; by default the last one.
        rounds: How often each debater speaks.
        final_prompt: The request to the judge; by default one of our own.
        options: Arguments of `BaseGroupChat`.

    Raises:
        ValueError: The judge is no participant, or there are less than two debaters.
    """

    def __init__(
        self,
        participants: Sequence[ChatAgent | Team] | None = None,
        *,
        judge: str | None = None,
        rounds: int = 2,
        final_prompt: str | None = None,
        **options: Unpack[TeamOptions],
    ) -> None:
        super().__init__(participants, **options)
        self._judge, self._final_prompt = judge, final_prompt
        self._rounds = checked_count(rounds, parameter="rounds")
        self._closing = self._member(judge or self._names[-1], "judge")
        self._debaters = self._others(*self._closing, at_least=2)

    def _speakers(self, step: int) -> Sequence[str]:
        if step < self._rounds:
            return self._debaters
        return self._closing if step == self._rounds else ()

    def _instruction(self, step: int) -> str | None:
        if step == self._rounds:
            return self._final_prompt or _JUDGE
        return _REPLY if step else None
