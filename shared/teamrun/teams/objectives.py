"""What a team is to achieve and to keep to, as a part of its members' system messages."""

from collections.abc import Sequence

__all__ = ["objectives_text"]


def objectives_text(team: str, objectives: Sequence[str], constraints: Sequence[str]) -> str:
    """What the members of a team are told."""
    parts = {
        f"Objectives of the team {team}:": objectives,
        f"Constraints that the team {team} has to satisfy:": constraints,
    }
    listed = [(head, [f"- {line}" for line in lines]) for head, lines in parts.items() if lines]
    return "\n\n".join("\n".join((head, *lines)) for head, lines in listed)
