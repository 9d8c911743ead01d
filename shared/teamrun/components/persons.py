"""Where a definition needs a person: a user proxy, or a handoff to somebody outside the team."""

from collections.abc import Sequence

from teamrun.components.definitions import (
    AssistantDefinition,
    ParticipantDefinition,
    UserProxyDefinition,
)
from teamrun.components.problems import Problems, did_you_mean, pointer
from teamrun.components.scope import Member

__all__ = ["note_persons"]


def note_persons(
    members: Sequence[Member], awaited: Sequence[tuple[str, str]], persons: Problems
) -> None:
    """Note each place at which a team waits for a person.

    `awaited` are the targets of handoff conditions, each with its place.
    """
    names = [member.definition.name for member in members]
    for member in members:
        if isinstance(member.definition, UserProxyDefinition):
            detail = (
                f"{member.definition.name!r} is a person, and runs cannot wait for one yet; use an"
                " assistant_agent."
            )
            persons.add(pointer(member.where, "type"), "needs_person", detail)
        for place, target in _handoffs(member.definition, member.where):
            _note_target(target, place, names, persons)
    for target, place in awaited:
        _note_target(target, place, names, persons)


def _handoffs(definition: ParticipantDefinition, where: str) -> list[tuple[str, str]]:
    if not isinstance(definition, AssistantDefinition):
        return []
    return [
        (pointer(where, "handoffs", index), handoff.target)
        for index, handoff in enumerate(definition.handoffs)
    ]


def _note_target(target: str, place: str, names: Sequence[str], persons: Problems) -> None:
    if target in names:
        return
    detail = (
        f"{target!r} is no member of this team, so a person, and runs cannot wait for one yet."
        f"{did_you_mean(target, names)}"
    )
    persons.add(place, "needs_person", detail)
