"""A team whose manager divides the work among specialists, and puts the results together."""

import re
from collections.abc import Mapping, Sequence
from typing import Final, Unpack

from teamrun.core.checks import checked_count
from teamrun.core.protocols import ChatAgent, Team
from teamrun.teams.selection import roles_text, spoken
from teamrun.teams.staged import StagedTeam, TeamOptions

__all__ = ["HierarchicalGroupChat"]

_PLAN: Final = """You lead these specialists:
{roles}

Divide the work among them: write a line `name: what to do` for each one that has a part in it. \
They work at the same time, and each gets only its own part. If there is nothing to divide, give \
the answer itself, without such lines."""
_GO_ON: Final = """The specialists have answered. If something is missing, write lines \
`name: what to do` again. Otherwise write the final answer, without such lines."""
_CONCLUDE: Final = "The specialists have answered. Write the final answer."


class HierarchicalGroupChat(StagedTeam):
    """A team of a manager and specialists: the manager plans, they execute, it concludes.

    The manager assigns parts by lines `name: what to do`. The specialists that it names work at the
    same time. Then the manager assigns more, or answers: a message without such a line is the
    answer. See `StagedTeam` and `BaseGroupChat` for the rest.

    Args:
        participants: Agents and teams: the manager, and at least one specialist.
        manager: The name of the participant that leads; by default the first one.
        rounds: How often the manager assigns parts at most; then it has to answer.
        final_prompt: The request for the answer after the last round; by default one of our own.
        options: Arguments of `BaseGroupChat`.

    Raises:
        ValueError: The manager is no participant, or the only one.
    """

    def __init__(
        self,
        participants: Sequence[ChatAgent | Team] | None = None,
        *,
        manager: str | None = None,
        rounds: int = 3,
        final_prompt: str | None = None,
        **options: Unpack[TeamOptions],
    ) -> None:
        super().__init__(participants, **options)
        self._manager, self._final_prompt = manager, final_prompt
        self._rounds = checked_count(rounds, parameter="rounds")
        self._leader = self._member(manager or self._names[0], "manager")
        self._specialists = self._others(*self._leader)
        seats = (self._seats[name] for name in self._specialists)
        self._roles = roles_text((seat.name, seat.description) for seat in seats)

    def _speakers(self, step: int) -> Sequence[str]:
        if step % 2 == 0:  # plan, work, assign more or answer, ...
            return self._leader if step <= 2 * self._rounds else ()
        return tuple(self._parts(step)) if step < 2 * self._rounds else ()

    def _instruction(self, step: int) -> str | None:
        if step % 2:
            return None
        if step == 0:
            return _PLAN.format(roles=self._roles)
        return _GO_ON if step < 2 * self._rounds else self._final_prompt or _CONCLUDE

    def _parts(self, step: int) -> Mapping[str, str]:
        if step % 2 == 0:
            return {}
        text, parts = spoken(self._text_of(self._leader[0])), dict[str, str]()
        names = "|".join(map(re.escape, sorted(self._specialists, key=len, reverse=True)))
        line = rf"(?m)^[ \t>*_#`\d.)@-]*({names})[*_`]*[ \t]*:[*_`]*(.*)$"  # also in Markdown
        for name, part in re.findall(line, text):
            parts[name] = "\n".join(filter(None, (parts.get(name), part.strip())))
        return {name: f"Your part, {name}: {part}" for name, part in parts.items()}
