"""Checks of the names in a team's conditions and handoffs against its participants."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from teamrun.components.definitions.agents import (
    AssistantDefinition,
    HandoffDefinition,
    InlineToolDefinition,
    ToolOfAgent,
)
from teamrun.components.definitions.base import ParticipantDefinition
from teamrun.components.definitions.mcp import SERVER_PREFIX
from teamrun.components.definitions.table import MentionKind
from teamrun.components.reading.problems import Problems, did_you_mean, listed, pointer, shown
from teamrun.components.reading.scope import Member, UnreadDefinition

__all__ = ["Mention", "add_tool", "check_handoffs", "check_mentions"]


_MOST_STRANGERS: Final = 50
"""The number of unknown names that are compared with those of a team."""


class Mention(NamedTuple):
    """A name in a condition, or in a team's `output`."""

    kind: MentionKind
    name: str
    where: str
    """The pointer to it."""


_REMEDIES: Final[Mapping[MentionKind, str]] = {
    "source": "This team has no source of messages named {name}.{hint} Sources: {known}.",
    "target": "No agent of this team hands over to {name}.{hint} Handoff targets: {known}.",
    "speaker": "No agent or team in this team is named {name}.{hint} There are {known}.",
    "function": "No agent of this team has a tool {name}.{hint} Tools: {known}.",
}


def check_mentions(
    members: Sequence[Member],
    mentions: Sequence[Mention],
    problems: Problems,
    *,
    exported: bool = False,
) -> None:
    """Note the names that nothing in the team has, and handoffs whose target looks misspelt.

    Agents of the operator's own classes may send messages, hand over and call tools that no
    definition lists. In a team that has one, an unknown name is a warning, and so is one in a
    condition of a team that was exported from AutoGen, which runs it.

    Args:
        members: The members of the team.
        mentions: The names in its conditions, and in `output`.
        problems: The list to add problems to.
        exported: Whether the team is AutoGen component JSON.
    """
    agents = [heard for member in members for heard in _heard(member.definition)]
    unread = [agent for agent in agents if isinstance(agent, UnreadDefinition)]
    has_custom_agents = any(agent.uses.agents or agent.has_unseen_agents for agent in agents)
    has_servers = any(name.startswith(SERVER_PREFIX) for a in agents for name in a.uses.tools)
    known = _known(agents)
    known["speaker"] = {name for member in members for name in _names_in(member.definition)}
    all_known = {kind: listed(names) for kind, names in known.items()} if mentions else {}
    strangers = 0
    for mention in mentions:
        names = known[mention.kind]
        if mention.name in names or (unread and _may_have(unread, mention)):
            continue
        strangers += 1
        hint = did_you_mean(mention.name, names) if strangers <= _MOST_STRANGERS else ""
        detail = _REMEDIES[mention.kind].format(
            name=shown(mention.name), hint=hint, known=all_known[mention.kind]
        )
        if has_servers and mention.kind == "function":  # its tools are not known here
            continue
        if has_custom_agents or (exported and mention.kind != "speaker"):
            problems.warn(mention.where, detail)
        else:
            problems.add(mention.where, "invalid_definition", detail)
    _note_strangers(members, problems)


def add_tool(
    tools: dict[str, ToolOfAgent],
    tool: ToolOfAgent,
    where: str,
    problems: Problems,
) -> None:
    """Add a tool of an agent under its name, or note that it has one of that name already."""
    name = _name_of(tool)
    if name in tools:
        remedy = "Leave one out." if isinstance(tool, str) else "Give one of them another name."
        detail = f"The tool {shown(name)} occurs twice. {remedy}"
        problems.add(where, "invalid_definition", detail)
    else:
        tools[name] = tool


def _name_of(tool: ToolOfAgent) -> str:
    if isinstance(tool, InlineToolDefinition):
        return tool.name
    return tool if isinstance(tool, str) else tool.tool_name


def _may_have(unread: Sequence[UnreadDefinition], mention: Mention) -> bool:
    """Whether a member with a problem may be, or have, what a name stands for."""
    return mention.kind in ("target", "function") or any(each.has_members for each in unread)


def check_handoffs(agent: AssistantDefinition, where: str, problems: Problems) -> None:
    """Note handoffs to the agent itself, and those that are named like another one or a tool.

    Args:
        agent: The agent.
        where: The pointer to its handoffs.
        problems: The list to add problems to.
    """
    taken = {tool.lower(): f"the tool {tool!r}" for tool in agent.tool_names}
    for index, handoff in enumerate(agent.handoffs):
        if handoff.target == agent.name:
            detail = f"{agent.name!r} cannot hand over to itself; name another agent, or a person."
            problems.add(pointer(where, index), "invalid_definition", detail)
        name = _tool_name(handoff)
        other = taken.get(name.lower())
        if other is not None:
            detail = f"The model already sees {other} as {name!r}; give this one another 'name'."
            problems.add(pointer(where, index), "invalid_definition", detail)
        taken[name.lower()] = f"the handoff to {handoff.target!r}"


def _tool_name(handoff: HandoffDefinition) -> str:
    return handoff.name or f"transfer_to_{handoff.target}".lower()


def _heard(part: ParticipantDefinition) -> Iterator[ParticipantDefinition]:
    """The agents whose messages a team sees: also those of agents and teams as tools."""
    for agent in part.voices:
        yield agent
        for inner in agent.inner if isinstance(agent, AssistantDefinition) else ():
            yield from _heard(inner)


def _names_in(part: ParticipantDefinition) -> Iterator[str]:
    """The names of a member, and of those inside of it."""
    yield part.name
    if part not in part.voices:
        for inner in part.inner:
            yield from _names_in(inner)


def _known(agents: Sequence[ParticipantDefinition]) -> dict[MentionKind, set[str]]:
    assistants = [agent for agent in agents if isinstance(agent, AssistantDefinition)]
    handoffs = [handoff for agent in assistants for handoff in agent.handoffs]
    used = {tool for agent in agents for tool in agent.uses.tools}
    tools = {tool for tool in used if not tool.startswith(SERVER_PREFIX)}
    tools |= {tool for agent in assistants for tool in agent.tool_names}
    return {
        # The messages of an inner team carry the names of its agents, not its own.
        "source": {"user", *(agent.name for agent in agents)},
        "target": {handoff.target for handoff in handoffs},
        "function": {*tools, *(_tool_name(handoff) for handoff in handoffs)},
    }


def _note_strangers(members: Sequence[Member], problems: Problems) -> None:
    """Warn of handoffs to a person whose name is nearly a member's: it may be misspelt."""
    names = {member.definition.name for member in members}
    hints: dict[str, str] = {}
    for member in members:
        if not isinstance(member.definition, AssistantDefinition):
            continue
        for index, handoff in enumerate(member.definition.handoffs):
            target = handoff.target
            if target not in names and target not in hints and len(hints) < _MOST_STRANGERS:
                hints[target] = did_you_mean(target, names)
            if hint := hints.get(target, ""):
                place = pointer(member.where, "handoffs", index)
                problems.warn(
                    place,
                    f"{target!r} is no member of this team, so the handoff is to a person.{hint}",
                )
