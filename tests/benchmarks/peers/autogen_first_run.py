"""AutoGen from a fresh process to the end of its first run, without a provider's client."""

import asyncio

from tests.benchmarks.meter import TASK
from tests.benchmarks.peers.autogen_cold import Speaker
from tests.benchmarks.peers.autogen_team import team

asyncio.run(team(Speaker(), 1).run(task=TASK))
