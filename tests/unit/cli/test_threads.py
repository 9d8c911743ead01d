"""`teamrun threads delete`, and `teamrun submit` in a thread."""

import json
from typing import Any

import pytest
from tests.support.scripted_api import Given, scripted_api
from typer.testing import CliRunner

from teamrun.cli.app import app
from teamrun_api.examples import EXAMPLES

QUEUED = Given(202, json.dumps(EXAMPLES["RunQueued"]).encode())
REJECT = {"TEAMRUN_ON_BUSY_THREAD": "reject"}


@pytest.mark.parametrize("revision", [None, "3"])
def test_a_thread_is_deleted_at_its_revision(revision: str | None) -> None:
    given = () if revision is None else ("--revision", revision)
    with scripted_api(Given(204, b"")) as api:
        words = ["threads", "delete", "thr_1", *given, "--url", api.url]
        assert CliRunner().invoke(app, words).stdout == "thr_1\n"
    assert api.asked[0].headers.get("if-match") == (revision and '"v3"')


def test_a_revision_is_of_one_thread() -> None:
    words = [
        "threads",
        "delete",
        "thr_1",
        "thr_2",
        "--revision",
        "3",
        "--url",
        "http://127.0.0.1:1",
    ]
    done = CliRunner().invoke(app, words)
    assert "--revision is of one thread" in str(done.exception)


@pytest.mark.parametrize(
    ("options", "environment", "sent"),
    [
        ([], REJECT, {}),
        (["--thread", "thr_1"], REJECT, {"thread_id": "thr_1", "on_busy_thread": "reject"}),
        (["--on-busy-thread", "reject"], {}, {"on_busy_thread": "reject"}),
    ],
    ids=["without a thread", "with a thread", "as an option"],
)
def test_the_policy_of_the_environment_only_concerns_runs_of_a_thread(
    options: list[str], environment: dict[str, str], sent: dict[str, Any]
) -> None:
    with scripted_api(QUEUED) as api:
        words = ["submit", "t", "x", *options, "--url", api.url]
        assert CliRunner().invoke(app, words, env=environment).exit_code == 0
    body = json.loads(api.asked[0].body)
    assert {name: body[name] for name in body if "thread" in name} == sent
