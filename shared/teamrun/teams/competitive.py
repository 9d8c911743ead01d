"""A team whose members compete: all propose, and the best proposal is chosen."""

from collections.abc import Sequence
from typing import Final, Unpack

from teamrun.core.checks import checked_count
from teamrun.core.protocols import ChatAgent, Team
from teamrun.messages import BaseChatMessage, TextMessage
from teamrun.teams.selection import feedback_on, mentioned, spoken
from teamrun.teams.staged import StagedTeam, TeamOptions

__all__ = ["CompetitiveGroupChat"]

_CHOOSE: Final = (
    "Choose the best proposal: which one is correct, complete and clear? Answer with the name of "
    "its author alone: {names}."
)
_ATTEMPTS: Final = 3
"""How often the judge is asked to name one member."""


class CompetitiveGroupChat(StagedTeam):
    """A team whose members make proposals at the same time; the best one is the result.

    A judge names its author. If it names none, or several, it is asked again, at most three times
    in all; then the proposal that came first wins. Without a judge, the first proposal wins. The
    last message of a run is the proposal that won. See `StagedTeam` and `BaseGroupChat` for the
    rest.

    Args:
        participants: Agents and teams.
        judge: The name of the participant that chooses; None: the first proposal wins.
        enough: As soon as this number of proposals has come, the turns of the others are cancelled.
            By default all are awaited, and only the first one without a judge.
        final_prompt: The request to the judge; by default one of our own. `{names}` is filled in.
        options: Arguments of `BaseGroupChat`.

    Raises:
        ValueError: The judge is no participant, or there are fewer competitors than `enough`.
    """

    def __init__(
        self,
        participants: Sequence[ChatAgent | Team] | None = None,
        *,
        judge: str | None = None,
        enough: int | None = None,
        final_prompt: str | None = None,
        **options: Unpack[TeamOptions],
    ) -> None:
        super().__init__(participants, **options)
        self._judge, self._enough, self._final_prompt = judge, enough, final_prompt
        self._closing = self._member(judge, "judge")
        self._competitors = self._others(*self._closing)
        count = len(self._competitors) if judge is not None else 1
        self._wanted = count if enough is None else checked_count(enough, parameter="enough")
        if self._wanted > len(self._competitors):
            raise ValueError(
                f"`enough` is {enough}, and there are {len(self._competitors)} competitors."
            )

    @property
    def _proposals(self) -> list[str]:
        return [name for name in self._said if name in self._competitors]

    def _has_enough(self) -> bool:
        return self._step < 2 and len(self._proposals) >= self._wanted

    def _speakers(self, step: int) -> Sequence[str]:
        if step == 0:
            return self._competitors
        is_undecided = len(self._proposals) > 1 and len(self._verdict()) != 1
        return self._closing if is_undecided and step <= _ATTEMPTS else ()

    def _verdict(self) -> list[str]:
        return mentioned(spoken(self._text_of(self._closing[0])), self._proposals)

    def _instruction(self, step: int) -> str | None:
        if step == 0:
            return None
        if step > 1:
            return feedback_on(self._verdict(), self._proposals, previous=None)
        prompt = self._final_prompt or _CHOOSE
        return prompt.replace("{names}", ", ".join(self._proposals))

    def _final_message(self) -> BaseChatMessage | None:
        if not self._proposals:  # competitors that are teams may have ended in silence
            return None
        named = self._verdict() if self._closing else []
        winner = named[0] if len(named) == 1 else self._proposals[0]
        if self._thread[-1] is self._said[winner]:
            return None
        return TextMessage(content=self._text_of(winner), source=winner)
