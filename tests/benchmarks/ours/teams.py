"""The library alone: a run of each kind of team."""

from tests.benchmarks import agentchat
from tests.benchmarks.meter import measured
from tests.benchmarks.ours.models import Speaker
from tests.benchmarks.patterns import works

from teamrun import agents, teams
from teamrun.messages import CreateResult, FunctionCall, RequestUsage
from teamrun.tools import FunctionTool

if __name__ == "__main__":
    library = agentchat.Library(
        agents, teams, FunctionTool, FunctionCall, CreateResult, RequestUsage, Speaker
    )
    measured(works(*agentchat.teams(library)))
