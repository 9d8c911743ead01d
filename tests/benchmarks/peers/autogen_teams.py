"""AutoGen's library: the same teams, in AutoGen's environment."""

from autogen_agentchat import agents, teams
from autogen_core import FunctionCall
from autogen_core.models import CreateResult, RequestUsage
from autogen_core.tools import FunctionTool
from tests.benchmarks import agentchat
from tests.benchmarks.meter import measured
from tests.benchmarks.patterns import works
from tests.benchmarks.peers.autogen_models import Speaker

if __name__ == "__main__":
    library = agentchat.Library(
        agents, teams, FunctionTool, FunctionCall, CreateResult, RequestUsage, Speaker
    )
    measured(works(*agentchat.teams(library)))
