"""What a change of the index of a tenant's teams must keep to."""

from typing import Final

from teamrun.catalog.records import StoredTeam, TeamIndex
from teamrun.catalog.stored import encoded
from teamrun.errors import PreconditionFailed, TooManyTeams

__all__ = ["MOST_INDEX_BYTES", "bounded", "check_revision"]

MOST_INDEX_BYTES: Final = 1024 * 1024
"""Maximum size of the index of a tenant's teams, which each change writes as a whole."""


def check_revision(team: StoredTeam, revision: int | None) -> None:
    """Refuse a change of another revision than the client has read; None is any.

    Raises:
        PreconditionFailed: The team has another revision.
    """
    if revision not in (None, team.revision):
        raise PreconditionFailed(f"The team {team.name!r} has changed since; read it again.")


def bounded(before: TeamIndex, after: TeamIndex) -> TeamIndex:
    """The index after a change; one that is too large may become smaller.

    Raises:
        TooManyTeams: It is larger than `MOST_INDEX_BYTES`, and than before.
    """
    size = len(encoded(after))
    if size > MOST_INDEX_BYTES and size > len(encoded(before)):
        raise TooManyTeams(
            f"The names, descriptions, metadata and aliases of all teams would have {size} bytes;"
            f" at most {MOST_INDEX_BYTES} are stored. Delete teams or aliases that are not used, or"
            " shorten descriptions and metadata."
        )
    return after
