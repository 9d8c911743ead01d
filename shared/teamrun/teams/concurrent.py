"""A team whose members work on a task at the same time; one may combine the results."""

from collections.abc import Sequence
from typing import Final, Unpack

from teamrun.core.protocols import ChatAgent, Team
from teamrun.teams.staged import StagedTeam, TeamOptions

__all__ = ["ConcurrentGroupChat"]

_COMBINE: Final = (
    "All members have answered. Combine their answers into one, which is complete and free of "
    "contradictions."
)


class ConcurrentGroupChat(StagedTeam):
    """A team whose members answer at the same time, without hearing each other.

    Then the synthesizer, if there is one, combines their answers. See `StagedTeam` and
    `BaseGroupChat` for the rest.

    Args:
        participants: Agents and teams.
        synthesizer: The name of the participant that combines the answers.
        final_prompt: The request to the synthesizer; by default one of our own.
        options: Arguments of `BaseGroupChat`.

    Raises:
        ValueError: The synthesizer is no participant, or the only one.
    """

    def __init__(
        self,
        participants: Sequence[ChatAgent | Team] | None = None,
        *,
        synthesizer: str | None = None,
        final_prompt: str | None = None,
        **options: Unpack[TeamOptions],
    ) -> None:
        super().__init__(participants, **options)
        self._synthesizer, self._final_prompt = synthesizer, final_prompt
        closing = self._member(synthesizer, "synthesizer")
        self._steps = (self._others(*closing), closing)

    def _speakers(self, step: int) -> Sequence[str]:
        return self._steps[step] if step < len(self._steps) else ()

    def _instruction(self, step: int) -> str | None:
        return (self._final_prompt or _COMBINE) if step else None
