"""Agents and teams as tools: each team gets its own copy of the agent or team in a tool.

An `AgentTool` or `TeamTool` is registered as an object. If runs shared it, one run would see the
messages of another. In a run, the tool's model calls and tool calls are recorded, limited and
counted one by one, like those of the team's agents.
"""

from collections.abc import Sequence
from typing import Any, Final

from teamrun.agents import (
    AssistantAgent,
    BaseChatAgent,
    MessageFilterAgent,
    SocietyOfMindAgent,
    UserProxyAgent,
)
from teamrun.components.building.functional import check_keeps_its_counts
from teamrun.components.building.wiring import PlainWiring, Wiring
from teamrun.components.definitions.agents import UserProxyDefinition
from teamrun.core.component.table import provider_of
from teamrun.core.protocols import ChatAgent, InputFunc, Team
from teamrun.errors import DefinitionError, UsageError
from teamrun.models.base import ChatCompletionClient
from teamrun.teams import BaseGroupChat
from teamrun.teams.with_model import TeamWithModel
from teamrun.tools.agent_tool import TaskRunnerTool
from teamrun.tools.approval import ApprovedTool
from teamrun.tools.base import StreamTool, Tool

__all__ = ["as_it_is", "copied_team", "wired_tool"]

_REMEDY: Final = (
    "Register a function in its place, `async def {name}(task: str) -> str`, that makes the agent "
    "or the team, runs it and returns its answer"
)


def wired_tool(path: str, tool: Tool, wiring: Wiring) -> Tool:
    """A tool as the agent at `path` uses it; an agent or a team is copied.

    Raises:
        DefinitionError: The agent or team cannot be copied.
    """
    if isinstance(tool, ApprovedTool) and isinstance(tool, StreamTool):
        raise DefinitionError(
            f"The tool {tool.name!r} is an agent or a team in an ApprovedTool, which asks outside "
            "of the run. Register the AgentTool or TeamTool itself, with its attribute "
            "needs_approval set to True."
        )
    if not isinstance(tool, TaskRunnerTool):
        return wiring.tool(path, tool)
    return wiring.delegate(path, tool, lambda leaves: _copy(path, tool, leaves))


def as_it_is(tool: Tool) -> Tool:
    """A registered tool that later changes of its agent or team do not reach.

    A run that continues in another worker has what was registered there. Without this, a run
    in the process that changed an agent's tools or conversation would have something else.

    Raises:
        DefinitionError: The agent or team cannot be copied.
    """
    return wired_tool("", tool, _Unchanged())


def copied_team(
    team: BaseGroupChat, path: str, profile: str, wiring: Wiring, *, is_new: bool
) -> BaseGroupChat:
    """A copy of a team, with leaves as a wiring returns them.

    Args:
        team: A team.
        path: Its place.
        profile: Under this name its model calls are recorded.
        wiring: Wraps the leaves.
        is_new: Whether nothing else has the team. Then agents of other classes can stay as they
            are; each of their turns is one call.

    Raises:
        UsageError: The team, or an agent in it, cannot be copied.
    """
    return _copied(team, path, _Leaves(profile, wiring, keeps_agents=is_new))


def _copy(path: str, tool: TaskRunnerTool, wiring: Wiring) -> TaskRunnerTool:
    runner, leaves = tool.task_runner, _Leaves(tool.name, wiring)
    try:
        return tool.with_runner(_copied(runner, f"{path}/{tool.name}", leaves))
    except UsageError as error:
        if isinstance(error, DefinitionError):
            raise
        remedy = _REMEDY.format(name=tool.name)
        raise DefinitionError(f"The tool {tool.name!r}: {error} {remedy}.") from error


def _copied(runner: object, path: str, leaves: "_Leaves") -> Any:
    """The copy of an agent or a team.

    Subclasses are refused: their code may have effects that a run cannot record. So is an object
    with a stream of its own, which would call the original instead of the copy.
    """
    kind = type(runner)
    if own := getattr(runner, "__dict__", {}).keys() & {"on_messages_stream", "run_stream"}:
        raise UsageError(f"{min(own)} was replaced in an object, which runs cannot copy.")
    if kind is AssistantAgent:
        assert isinstance(runner, AssistantAgent)
        return runner.copy_for(path, leaves)
    if kind is UserProxyAgent:
        assert isinstance(runner, UserProxyAgent)
        return runner.copy_for(path, leaves)
    if kind is SocietyOfMindAgent:
        assert isinstance(runner, SocietyOfMindAgent)
        team = runner.team
        client = leaves.model(path, runner.model_client.for_agent(runner.name))
        return runner.copy_with(_copied(team, f"{path}/{team.name}", leaves), client)
    if kind is MessageFilterAgent:
        assert isinstance(runner, MessageFilterAgent)
        inner = runner.wrapped_agent
        return runner.copy_with(_copied(inner, f"{path}/{inner.name}", leaves))
    if isinstance(runner, BaseGroupChat) and provider_of(kind) is not None:
        check_keeps_its_counts(runner.termination_condition)
        copied = runner.copy_with(_members(runner.participants, path, leaves))
        if not isinstance(copied, TeamWithModel):
            return copied
        client = copied.model_client.for_agent(copied.role)
        return copied.with_model(leaves.model(f"{path}/{copied.role}", client))
    if leaves.keeps_agents and isinstance(runner, BaseChatAgent):
        return leaves.agent(path, runner)
    raise UsageError(f"{kind.__name__} is a custom class, which runs cannot share.")


def _members(
    participants: Sequence[ChatAgent | Team], path: str, leaves: "_Leaves"
) -> list[ChatAgent | Team]:
    return [_copied(each, f"{path}/{each.name}", leaves) for each in participants]


class _Leaves:
    """Implements `teamrun.agents.copies.Leaves` over a `Wiring`."""

    def __init__(self, profile: str, wiring: Wiring, *, keeps_agents: bool = False) -> None:
        self._profile = profile
        self._wiring = wiring
        self.keeps_agents = keeps_agents
        """Whether an agent of another class may be used as it is."""

    def agent(self, path: str, agent: BaseChatAgent) -> BaseChatAgent:
        return self._wiring.agent(path, agent)

    def model(self, path: str, client: ChatCompletionClient) -> ChatCompletionClient:
        return self._wiring.model(path, self._profile, client)

    def tool(self, path: str, tool: Tool) -> Tool:
        return wired_tool(path, tool, self._wiring)

    def input(self, path: str, agent: str, func: InputFunc | None) -> InputFunc | None:
        return self._wiring.input(path, func, UserProxyDefinition(name=agent))


class _Unchanged(PlainWiring):
    """Wraps nothing; agents and teams among the tools are copied all the same."""

    def tool(self, path: str, tool: Tool) -> Tool:
        return tool

    def input(
        self, path: str, func: InputFunc | None, person: UserProxyDefinition
    ) -> InputFunc | None:
        return func
