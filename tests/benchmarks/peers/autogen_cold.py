"""AutoGen from a fresh process to a team that is ready to run, without a provider's client."""

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.teams import RoundRobinGroupChat
from tests.benchmarks.peers.autogen_models import Speaker

model = Speaker()
team = RoundRobinGroupChat([AssistantAgent(name, model) for name in ("a", "b")], max_turns=20)
