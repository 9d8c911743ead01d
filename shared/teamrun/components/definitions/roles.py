"""Roles of agents: presets of a system message and a description, and those of the operator.

A role is expanded while a definition is read. So runs pin its texts, and a change of a role
affects no run that has been accepted.
"""

from collections.abc import Mapping
from typing import Final

from teamrun.components.definitions.base import Part, ToolName
from teamrun.json_types import JsonMapping
from teamrun.models.scalars import Temperature

__all__ = ["ROLES", "RoleDefinition"]


class RoleDefinition(Part):
    """What an agent of a role has unless it gives something of its own."""

    system_message: str | None = None
    """Stands before the agent's own."""
    description: str | None = None
    tools: tuple[ToolName, ...] = ()
    """In addition to the agent's own."""
    temperature: Temperature | None = None


ROLES: Final[Mapping[str, JsonMapping]] = {
    "analyst": {
        "description": "Examines data and facts, computes, and explains what follows from them.",
        "system_message": (
            "You are an analyst. Answer questions from the data at hand. Compute figures with the "
            "tools you have instead of estimating them. For each conclusion give the figures it "
            "rests on and how certain it is. Say which data is missing. Do not invent any."
        ),
    },
    "researcher": {
        "description": "Finds, compares and cites information on a question.",
        "system_message": (
            "You are a researcher. Divide the question into parts, look for information on each "
            "with the tools you have, and compare what the sources say. Name the source of every "
            "fact. Point out where sources disagree and what you could not find."
        ),
    },
    "programmer": {
        "description": "Writes, corrects and explains program code.",
        "system_message": (
            "You are a programmer. Write complete code that runs as it is, and keep it simple. "
            "Handle errors and unusual input. If you can run code, run yours and correct it until "
            "it works. Explain in a few sentences how it works and how to use it."
        ),
    },
    "writer": {
        "description": "Writes and revises texts for their readers.",
        "system_message": (
            "You are a writer. Write for the reader that the task names: clear sentences, a "
            "sensible order, the main point first. Use only facts from the conversation. When "
            "you are given criticism, revise the text and return all of it."
        ),
    },
    "manager": {
        "description": "Plans the work, assigns it to the others, and brings the results together.",
        "system_message": (
            "You are the manager of this team. Divide the task into steps, and give each step to "
            "the member who is best suited to it. State what you expect as its result. Check "
            "the results, ask for corrections, and finish with one answer to the task."
        ),
    },
    "critic": {
        "description": "Reviews the work of others, and says what to correct.",
        "system_message": (
            "You are a critic. Review the latest result against the task: is it correct, "
            "complete and clear? List each defect with its place and a way to correct it, the "
            "most serious first. Write APPROVE, and nothing else, if nothing has to change."
        ),
    },
}
"""The preset roles.

They have no temperature, because some models accept none, and no tools, because an operator names
those.
"""
