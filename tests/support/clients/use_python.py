"""A user's program for the client that openapi-python-client generates; type-checked and run.

The test puts the generated package `generated` beside this file.
"""

import json
import sys
from io import BytesIO
from typing import cast

from generated import AuthenticatedClient
from generated.api.artifacts import get_run_artifact, list_run_artifacts
from generated.api.events import read_run_events
from generated.api.runs import (
    cancel_run,
    fork_run,
    get_run_result,
    list_runs,
    pause_run,
    resume_run,
    submit_run,
)
from generated.api.teams import validate_team
from generated.models import (
    ArtifactPage,
    CancelMode,
    CancelRequest,
    EventPage,
    ForkRequest,
    Limits,
    PauseRequest,
    Problem,
    ResumeRequest,
    Run,
    RunOfOwnTeam,
    RunOfOwnTeamTeamSpec,
    RunOfRegisteredTeam,
    RunPage,
    RunResult,
    RunStatus,
    ValidateRegisteredTeam,
    Validation,
)
from generated.types import File


def main(url: str) -> dict[str, object]:
    client = AuthenticatedClient(base_url=url, token="none")

    run = submit_run.sync(
        client=client,
        body=RunOfRegisteredTeam(team="writers", input_="Go", limits=Limits(max_turns=5)),
        wait=30,
    )
    assert isinstance(run, Run), run
    result = get_run_result.sync(run.id, client=client)
    assert isinstance(result, RunResult) and result.output is not None
    events = read_run_events.sync(run.id, client=client)
    assert isinstance(events, EventPage)
    files = list_run_artifacts.sync(run.id, client=client)
    assert isinstance(files, ArtifactPage)
    file = get_run_artifact.sync(run.id, files.data[0].name, client=client)
    assert isinstance(file, File)

    child = fork_run.sync(run.id, client=client, body=ForkRequest(after_seq=3))
    assert isinstance(child, Run)
    refused = resume_run.sync(
        run.id, client=client, body=ResumeRequest(limits=Limits(max_cost_usd="2"))
    )
    assert isinstance(refused, Problem)
    pause_run.sync(child.id, client=client, body=PauseRequest())
    cancel_run.sync(child.id, client=client, body=CancelRequest(mode=CancelMode.GRACEFUL))

    spec = RunOfOwnTeamTeamSpec.from_dict({"type": "round_robin_group_chat", "participants": []})
    own = submit_run.sync(client=client, body=RunOfOwnTeam(team_spec=spec, input_="Go"))
    assert isinstance(own, Problem)
    runs = list_runs.sync(client=client, status=RunStatus.COMPLETED, limit=5)
    assert isinstance(runs, RunPage)
    valid = validate_team.sync(client=client, body=ValidateRegisteredTeam(team="writers"))
    assert isinstance(valid, Validation)
    return {
        "status": run.status.value,
        "output": result.output.text,
        "events": len(events.data),
        "file": cast(BytesIO, file.payload).read().decode(),
        "parent": child.parent_run_id == run.id,
        "refused": refused.code,
        "own": own.status,
        "listed": run.id in [each.id for each in runs.data],
        "valid": valid.valid,
    }


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1])))  # noqa: T201 (the test reads it)
