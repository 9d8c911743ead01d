"""The shipped classes conform to the protocols."""

from teamrun.agents import AssistantAgent, UserProxyAgent
from teamrun.core import ChatAgent, TaskRunner, Team
from teamrun.teams import RoundRobinGroupChat
from teamrun.testing import ScriptedModel


def test_agents_and_teams_are_distinguished() -> None:
    agent = AssistantAgent("ada", ScriptedModel([]))
    agents: list[ChatAgent] = [agent, UserProxyAgent("me")]
    team: Team = RoundRobinGroupChat([agent])

    assert all(isinstance(each, ChatAgent) and not isinstance(each, Team) for each in agents)
    assert isinstance(team, Team)
    assert not isinstance(team, ChatAgent)
    assert all(isinstance(each, TaskRunner) for each in [*agents, team])
