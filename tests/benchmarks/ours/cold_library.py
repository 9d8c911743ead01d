"""The library from a fresh process to a team that is ready to run, without a provider's client."""

from tests.benchmarks.ours.models import Speaker

from teamrun import AssistantAgent, RoundRobinGroupChat

model = Speaker()
team = RoundRobinGroupChat([AssistantAgent(name, model) for name in ("a", "b")], max_turns=20)
