"""What code in a sandbox cannot reach or exhaust; one sandbox makes all attempts of the table."""

import asyncio
import json
import os
import socket
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.support.escapes import ATTEMPTS, Attempt, harness
from tests.support.services import bubblewrap

import teamrun
from teamrun.code.sandbox.executor import SandboxCodeExecutor
from teamrun.code.sandbox.limits import SandboxLimits
from teamrun.messages.code import CodeBlock


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """What each attempt has come to, by its id."""
    bubblewrap()
    folder = tmp_path_factory.mktemp("outside")
    (folder / "secret").write_text("canary", encoding="utf-8")
    (folder / "secret").chmod(0o644)
    path, abstract = f"/tmp/teamrun-{os.getpid()}", f"\0teamrun-{os.getpid()}"
    with (
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_UNIX) as unix,
        socket.socket(socket.AF_UNIX) as hidden,
        pytest.MonkeyPatch.context() as environment,
    ):
        environment.setenv("TEAMRUN_CANARY", "canary")
        for server, address in ((unix, path), (hidden, abstract)):
            server.bind(address)
            server.listen()
        # Python sets a limit on memory that its own start needs half of.
        limits = SandboxLimits(timeout=60, memory_mb=256, processes=16, work_mb=4)
        try:
            result = asyncio.run(
                SandboxCodeExecutor(limits).execute_code_blocks(
                    [
                        CodeBlock(
                            harness(
                                port=tcp.getsockname()[1],
                                socket=path,
                                abstract=abstract,
                                secret=str(folder / "secret"),
                                source=str(Path(teamrun.__file__).parent),
                                pid=os.getpid(),
                            ),
                            "python",
                        )
                    ]
                )
            )
        finally:
            Path(path).unlink()
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=[each.id for each in ATTEMPTS])
def test_an_attempt_is_refused(attempt: Attempt, results: Mapping[str, str]) -> None:
    assert results[attempt.id] == attempt.refused
