import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.golden.recording import FOLDER, cases, cluster_of

from teamrun.components.definitions.kinds import AGENTS, CONDITIONS, DELEGATES, TEAMS
from teamrun.core.clock import SystemClock
from teamrun.core.refs import RunRef
from teamrun.runs.durable.team import run_team
from teamrun.runs.engine.journal import Journal
from teamrun.runs.engine.replay import replay
from teamrun.runs.log.entries import Accepted, End
from teamrun.runs.log.keys import entry_key
from teamrun.runs.log.log import RunLog
from teamrun.runs.log.spec import BEHAVIOUR
from teamrun.storage.memory import MemoryStore

LOGS = sorted(FOLDER.glob("behaviour-*/*.json"))


def content(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))


@pytest.mark.parametrize("file", LOGS, ids=lambda file: f"{file.parent.name}/{file.stem}")
async def test_the_log_of_a_release_is_replayed_without_a_difference(file: Path) -> None:
    golden = content(file)
    spec = golden["log"][0]["body"]["spec"]
    ref, store = RunRef(spec["tenant"], spec["run_id"]), MemoryStore()
    for n, entry in enumerate(golden["log"]):
        await store.put_new(entry_key(ref, n), json.dumps(entry).encode())
    log = RunLog(store, ref, writer="test", clock=SystemClock())
    [first, *_] = await log.read()
    assert isinstance(first.body, Accepted)
    pinned = first.body.spec
    registry = cluster_of(golden["team"], {}).registry

    async def program(journal: Journal) -> End:
        return await run_team(journal, pinned, registry)

    assert await replay(log, program, SystemClock()) is None


def test_this_release_has_golden_logs_of_every_case() -> None:
    present = {file.stem for file in LOGS if file.parent.name == f"behaviour-{BEHAVIOUR}"}
    assert present == set(cases())


def types_in(data: Any) -> Iterator[str]:
    """The names of the kinds in a definition as it is stored."""
    if isinstance(data, dict):
        yield from (value for key, value in data.items() if key == "type")  # pyright: ignore[reportUnknownVariableType] - JSON
        data = [*data.values()]
    if isinstance(data, list):
        for each in data:  # pyright: ignore[reportUnknownVariableType] - JSON
            yield from types_in(each)


@pytest.mark.parametrize(
    "table",
    [TEAMS, AGENTS, DELEGATES, CONDITIONS],
    ids=["teams", "agents", "delegates", "conditions"],
)
def test_every_kind_of_a_definition_is_in_a_golden_log(table: Any) -> None:
    found: set[str] = set()
    for file in LOGS:
        spec = content(file)["log"][0]["body"]["spec"]
        found |= set(types_in(spec["definition"]))
    assert set(table.types) - found == set(), "add a case to tests/golden/shapes.py, and record it"
