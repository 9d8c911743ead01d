"""What the start of an engine imports and prepares; each start of a function or worker pays for it.

`tests/benchmarks` counts its instructions. If a module listed here is needed by every run, remove
it from the list; if not, import it at its first use.
"""

import subprocess
import sys
from collections.abc import Collection

import pytest

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
    "teamrun.tools.imports",
}
"""Modules that an engine and a team of two assistants without tools do not need."""


OF_BOTH_HANDLERS = {
    "boto3",
    "celery",
    "configparser",
    "httpx2",
    "jsonschema",
    "obstore",
    "openai",
    "redis",
    "teamrun.client",
    "teamrun.models.options",
    "teamrun.models.script",
    "teamrun.redis.address",
    "teamrun.redis.link",
    "teamrun.rounds",
    "teamrun.runs.engine.reaper",
    "teamrun.storage.file",
    "teamrun.storage.memory",
    "teamrun.testing",
    "teamrun.threads.conversation",
    "teamrun.tools.imports",
    "teamrun.upkeep",
    "teamrun.webhooks.deliverer",
    "teamrun.webhooks.delivering",
    "uvicorn",
    "yaml",
}
UNUSED_BY = {
    "worker": {
        *OF_BOTH_HANDLERS,
        "fastapi",
        "starlette",
        "pydantic.plugin._loader",
        "shlex",
        "teamrun.batches.entries",
        "teamrun.batches.feeder",
        "teamrun.batches.spec",
        "teamrun.runs.service.service",
        "teamrun.threads.records",
        "teamrun.webhooks.records",
        "teamrun.webhooks.resources",
        "teamrun.webhooks.sender",
        "teamrun_api",
    },
    "api": {
        *OF_BOTH_HANDLERS,
        "teamrun.runs.durable.team",
        "teamrun.runs.engine.engine",
    },
}
"""Modules that the handlers of AWS Lambda do not import before their first event."""
PROGRAM = """
import gc, sys
gc.collect()
gc.set_threshold(10_000)  # until the package of the handlers has been imported
before = gc.get_stats()[0]["collections"]
import {module}
after = gc.get_stats()[0]["collections"]
assert {collects} or after == before, "the collector has run"
from pydantic import BaseModel

def classes(base):
    for each in base.__subclasses__():
        yield each
        yield from classes(each)

unused = {unused!r} & sys.modules.keys()
assert not unused, f"imported: {{sorted(unused)}}"
ours = [each for each in classes(BaseModel) if each.__module__.startswith("teamrun.")]
made = {{each.__name__ for each in ours if each.__pydantic_complete__}} - {built!r}
assert not (made and {is_free}), f"have a validator: {{sorted(made)}}"
"""


def start(
    module: str,
    *,
    unused: Collection[str],
    built: Collection[str] = (),
    is_free: bool = True,
    collects: bool = False,
) -> None:
    """Check a start; it `is_free` of validators besides those that are `built`."""
    program = PROGRAM.format(
        module=module, unused=set(unused), built=set(built), is_free=is_free, collects=collects
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_an_engine_starts_without_what_few_runs_need_and_without_validators() -> None:
    of_its_team = {"AssistantDefinition", "RoundRobinDefinition", "SystemMessage"}
    start("tests.benchmarks.ours.cold_engine", unused=UNUSED, built=of_its_team, collects=True)


@pytest.mark.parametrize("name", UNUSED_BY)
def test_a_handler_of_lambda_starts_without_what_few_events_need(name: str) -> None:
    # FastAPI makes the validator of each body when its route is declared.
    is_free = name != "api"
    start(
        f"teamrun_infra.aws.{name}",
        unused=UNUSED_BY[name],
        is_free=is_free,
        collects=name == "api",
    )
