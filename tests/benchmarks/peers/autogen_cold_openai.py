"""AutoGen from a fresh process to a team that is ready to run, with its client of OpenAI."""

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_ext.models.openai import OpenAIChatCompletionClient

model = OpenAIChatCompletionClient(model="gpt-4o", api_key="none")
team = RoundRobinGroupChat([AssistantAgent(name, model) for name in ("a", "b")], max_turns=20)
