"""What the start of an engine imports and prepares; each start of a function or worker pays for it.

`tests/benchmarks` counts its instructions. If a module listed here is needed by every run, remove
it from the list; if not, import it at its first use.
"""

import subprocess
import sys

UNUSED = {
    "pydantic.functional_serializers",
    "teamrun.components.definitions.conditions",
    "teamrun.components.resources",
    "teamrun.conditions.text",
    "teamrun.messages.code",
    "teamrun.messages.content",
    "teamrun.messages.selection",
    "teamrun.models.pacing.local",
    "teamrun.models.pacing.pacer",
    "teamrun.models.retry",
    "teamrun.storage.batch_writer",
    "teamrun.teams.selector",
    "teamrun.teams.state",
    "teamrun.testing.scripted",
    "teamrun.tools.agent_tool",
}
"""Modules that an engine and a team of two assistants without tools do not need."""

PROGRAM = f"""
import sys
import tests.benchmarks.ours.cold_engine
from pydantic import BaseModel

def classes(base):
    for each in base.__subclasses__():
        yield each
        yield from classes(each)

unused = {UNUSED!r} & sys.modules.keys()
assert not unused, f"imported: {{sorted(unused)}}"
made = {{each.__name__ for each in classes(BaseModel) if each.__pydantic_complete__}}
made -= {{"AssistantDefinition", "RoundRobinDefinition", "SystemMessage"}}  # of the program's team
assert not made, f"have a validator: {{sorted(made)}}"
"""


def test_an_engine_starts_without_what_few_runs_need_and_without_validators() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
