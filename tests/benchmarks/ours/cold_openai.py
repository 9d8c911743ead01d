"""The library from a fresh process to a team that is ready to run, with the client of OpenAI."""

from teamrun import AssistantAgent, RoundRobinGroupChat
from teamrun.models import OpenAIChatCompletionClient

model = OpenAIChatCompletionClient(model="gpt-4o", api_key="none")
team = RoundRobinGroupChat([AssistantAgent(name, model) for name in ("a", "b")], max_turns=20)
