# pyright: strict, reportUnnecessaryTypeIgnoreComment=error
"""What an editor knows about the client: pyright checks this module, which refuses wrong calls."""

import inspect
from datetime import UTC, datetime
from pathlib import Path
from typing import assert_type

from teamrun.client import AsyncClient, Client, Delta, Event, Run, RunResult, TeamSummary
from teamrun.client.async_sender import AsyncItemStream, AsyncPager
from teamrun.client.sync_sender import ItemStream, Pager


def typed(client: Client) -> None:
    assert_type(client.runs.submit("t", "Go", tags=["a"], run_at=datetime.now(UTC)), Run)
    assert_type(client.runs.submit_and_wait({"type": "x"}, ["a", "b"], timeout=3), Run)
    assert_type(client.runs.list(status="failed"), Pager[Run])
    assert_type(client.runs.result("r"), RunResult)
    assert_type(client.runs.stream("r"), ItemStream[Event | Delta])
    assert_type(client.runs.delete("r"), None)
    assert_type(client.artifacts.download("r", "a", "b"), Path)
    assert_type(client.teams.get("t"), TeamSummary)
    client.runs.submit("t", "Go", tag=["a"])  # pyright: ignore[reportCallIssue] - no such option
    client.runs.list(status="done")  # pyright: ignore[reportArgumentType] - no such status


async def typed_async(client: AsyncClient) -> None:
    assert_type(await client.runs.submit("t", "Go"), Run)
    assert_type(await client.runs.wait("r", until="end"), Run)
    assert_type(client.runs.list(), AsyncPager[Run])
    assert_type(client.runs.stream("r"), AsyncItemStream[Event | Delta])
    assert_type([each async for each in client.runs.list()], list[Run])


def test_a_method_has_the_signature_and_the_documentation_of_its_call() -> None:
    with Client("http://127.0.0.1:1") as client:
        parameters = inspect.signature(client.runs.cancel).parameters

        assert list(parameters) == ["run_id", "reason", "mode"]
        assert "repetition" in (client.runs.cancel.__doc__ or "")
