"""Webhooks through real processes: `teamrun serve`, the command line, a receiver over HTTP."""

import json
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.support.receiver import Receiver, receiving
from tests.support.service import Served, example, serving, until

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(180)]


class Place(NamedTuple):
    """A service that may send to a receiver."""

    served: Served
    receiver: Receiver


@pytest.fixture
def place(tmp_path: Path) -> Generator[Place]:
    with receiving() as receiver:
        config = example(tmp_path / "example", latency_ms=10)
        allowed = json.dumps([f"127.0.0.1:{receiver.port}"])
        environ = {"TEAMRUN_ALLOWED_HOSTS": allowed}
        with serving(tmp_path / "data", config=config, environ=environ) as served:
            yield Place(served, receiver)


def test_a_webhook_from_the_command_line(place: Place) -> None:
    served, receiver = place
    made = served.cli("webhooks", "create", f"{receiver.url}/hook", "--events", "run.completed")
    assert made.returncode == 0, made.stderr
    webhook_id, secret = made.stdout.split()
    triggered = served.cli("webhooks", "trigger", webhook_id, "--event", "run.failed")
    assert (triggered.returncode, triggered.stdout.split(":")[0]) == (0, "run.failed")
    assert served.cli("submit", "analysts", "Which region sold most?", "-w").returncode == 0
    until(lambda: len(receiver.received) == 2, "the end of the run arrives")

    assert receiver.types == ["run.failed", "run.completed"]
    assert all(each.is_genuine(secret) for each in receiver.received)
    listed = json.loads(served.cli("webhooks", "list", "--json").stdout)
    assert [each["id"] for each in listed["data"]] == [webhook_id]
    until(
        lambda: served.get(f"/v1/webhooks/{webhook_id}/deliveries")["data"],
        "the delivery is recorded",
    )
    assert served.cli("webhooks", "delete", webhook_id).stdout == f"{webhook_id}\n"
    refused = served.cli("webhooks", "trigger", webhook_id)
    assert refused.returncode == 2


def test_a_receiver_that_refuses_ends_trigger_with_1(place: Place) -> None:
    served, receiver = place
    no_name = f"{'a' * 64}.example"  # a label of a name has at most 63 characters
    made = served.cli("webhooks", "create", f"https://{no_name}/hook")
    assert made.returncode == 0, made.stderr
    triggered = served.cli("webhooks", "trigger", made.stdout.split()[0])
    assert triggered.returncode == 1
    assert "connection_failed" in triggered.stdout
    local = served.cli("webhooks", "create", "http://127.0.0.1:9/hook")
    assert local.returncode == 2
    assert "TEAMRUN_ALLOWED_HOSTS='[\"127.0.0.1:9\"]'" in local.stderr
    assert receiver.received == []


def test_listen_sends_the_events_of_new_runs_and_batches_to_a_local_receiver(place: Place) -> None:
    served, receiver = place
    assert served.cli("submit", "analysts", "Before it listens.", "-w").returncode == 0
    secret = served.get("/v1/webhook-secret")["secret"]
    listening = subprocess.Popen(
        [
            *(sys.executable, "-m", "teamrun", "webhooks", "listen"),
            *("--forward", f"{receiver.url}/hook", "--events", "run.started,run.completed,batch.*"),
        ],
        env={**served.environ, "TEAMRUN_URL": served.url},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert listening.stderr is not None and listening.stdout is not None
        assert secret in listening.stderr.readline()
        assert "Waiting" in listening.stderr.readline()
        run = served.post("/v1/runs", {"team": "analysts", "input": "Which region sold most?"})
        until(lambda: "run.completed" in receiver.types, "the end of the run arrives")
        assert receiver.types == ["run.started", "run.completed"]
        assert {each.event["run_id"] for each in receiver.received} == {run["id"]}
        assert all(each.is_genuine(secret) for each in receiver.received)
        assert listening.stdout.readline().split()[0] == "run.started"
        items = [{"input": "Which region sold most?"}]
        batch = served.post("/v1/batches", {"team": "analysts", "items": items})
        until(lambda: "batch.completed" in receiver.types, "the end of the batch arrives")
        sent = [each for each in receiver.received if "batch_id" in each.event]
        assert {each.event["batch_id"] for each in sent} == {batch["id"]}
        assert all(each.is_genuine(secret) for each in sent)
    finally:
        listening.terminate()
        listening.wait(20)
        for pipe in (listening.stdout, listening.stderr):
            if pipe is not None:
                pipe.close()


def test_listen_sends_the_events_of_a_run_and_a_batch_that_are_named(place: Place) -> None:
    served, receiver = place
    run = served.post("/v1/runs", {"team": "analysts", "input": "Which region sold most?"})
    items = {"items": [{"input": "a"}, {"input": "b"}]}
    batch = served.post("/v1/batches", {"team": "analysts", **items})
    served.post("/v1/batches", {"team": "analysts", **items})
    types = "run.completed,batch.started,batch.completed"
    forward = ("--forward", f"{receiver.url}/hook", "--events", types, "--json")

    done = served.cli("webhooks", "listen", *forward, run["id"], batch["id"])

    assert done.returncode == 0, done.stderr
    secret = served.get("/v1/webhook-secret")["secret"]
    assert sorted(receiver.types) == sorted(types.split(","))
    assert all(each.is_genuine(secret) for each in receiver.received)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert {(each["type"], each["id"]) for each in lines} == {
        ("run.completed", run["id"]),
        ("batch.started", batch["id"]),
        ("batch.completed", batch["id"]),
    }


def test_listen_sends_the_events_of_new_batches(place: Place) -> None:
    served, receiver = place
    command = (*(sys.executable, "-m", "teamrun", "webhooks", "listen"), "--forward", receiver.url)
    listening = subprocess.Popen(
        command,
        env={**served.environ, "TEAMRUN_URL": served.url},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert listening.stderr is not None
        while "Waiting" not in listening.stderr.readline():
            pass
        batch = served.post("/v1/batches", {"team": "analysts", "items": [{"input": "a"}]})
        until(lambda: "batch.completed" in receiver.types, "the end of the batch arrives")
        assert {each.event["batch_id"] for each in receiver.received} == {batch["id"]}
    finally:
        listening.terminate()
        listening.wait(20)
        if listening.stderr is not None:
            listening.stderr.close()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--forward", "127.0.0.1:3000"],
        ["--forward", "http://127.0.0.1:3000/", "--events", "webhook.*"],
        ["--forward", "http://127.0.0.1:3000/", "whe_1"],
        [],
    ],
)
def test_listen_refuses_what_it_cannot_do(place: Place, arguments: list[str]) -> None:
    done = place.served.cli("webhooks", "listen", *arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
