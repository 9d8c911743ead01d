"""What happens to runs when functions, queues and the store fail as they do on Azure."""

import json
import os
import signal
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from tests.support.aws_faults import AwsFaults, Fault, aws_faults
from tests.support.aws_teams import ledger, write_teams
from tests.support.azure_deployment import KEY, AzureDeployment, azure_deployment
from tests.support.functions_host import Platform
from tests.support.service import until
from tests.support.services import Azurite

from teamrun.client import Client, Event
from teamrun.core.refs import RunRef

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]


def _error(status: int, code: str, **options: Any) -> Fault:
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code></Error>".encode()
    headers = {"content-type": "application/xml", "x-ms-error-code": code}
    return Fault(status, body, headers, **options)


busy = _error(503, "ServerBusy")
throttled = _error(429, "TooManyRequests")
lost = _error(500, "OperationTimedOut", executes=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_teams(tmp_path)
    return tmp_path


@pytest.fixture
def queue_faults(azure_server: Azurite) -> Generator[AwsFaults]:
    with aws_faults(azure_server.queue_endpoint.removesuffix(f"/{azure_server.account}")) as found:
        yield found


@pytest.fixture
def blob_faults(azure_server: Azurite) -> Generator[AwsFaults]:
    with aws_faults(azure_server.blob_endpoint.removesuffix(f"/{azure_server.account}")) as found:
        yield found


def _client(deployment: AzureDeployment) -> Client:
    return Client(deployment.url, api_key=KEY)


def _followed(client: Client, deployment: AzureDeployment, run_id: str) -> list[Event]:
    """The events of a run as a client receives them; its log has kept all invariants."""
    events = [item for item in client.runs.stream(run_id) if isinstance(item, Event)]
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert events == list(client.runs.events(run_id))
    entries = deployment.entries(run_id)
    assert [entry["n"] for entry in entries] == list(range(len(entries)))
    assert [entry["kind"] for entry in entries].count("end") == 1
    assert entries[-1]["kind"] == "end"
    calls = [call["call_id"] for entry in entries for call in entry["body"].get("calls", ())]
    assert len(calls) == len(set(calls)), "no call is recorded, and so paid, twice"
    epochs = [entry["epoch"] for entry in entries]
    assert epochs == sorted(epochs), "nothing follows of an owner that was replaced"
    return events


def _kinds(deployment: AzureDeployment, run_id: str) -> list[str]:
    return [entry["kind"] for entry in deployment.entries(run_id)]


def _until_empty(deployment: AzureDeployment, *queues: str) -> None:
    for queue in queues or ("interactive", "interactive-poison"):
        until(lambda: deployment.count(queue) == 0, f"{queue} is empty")  # noqa: B023


def test_a_run_is_carried_across_the_time_limit(folder: Path, azure_server: Azurite) -> None:
    with (
        azure_deployment(folder, azure_server, platform=Platform(timeout_s=7)) as deployment,
        _client(deployment) as client,
    ):
        run = client.runs.submit("walk", "Go")

        assert _followed(client, deployment, run.id)[-1].type == "run.completed"
        assert ledger(folder).count("nap") == ledger(folder).count("woke") == 8
        kinds = _kinds(deployment, run.id)
        assert kinds.count("yield") >= 3
        assert kinds.count("claim") == kinds.count("yield") + 1
        assert deployment.host.errors == []
        _until_empty(deployment)


def test_a_killed_instance_is_replaced_when_its_time_is_over(
    folder: Path, azure_server: Azurite
) -> None:
    # The message stays hidden for ten minutes, as on Azure: the timer finds its run.
    platform = Platform(timeout_s=8, hidden_s=600)
    with (
        azure_deployment(folder, azure_server, platform=platform) as deployment,
        _client(deployment) as client,
    ):
        run = client.runs.submit("pay", "Go")
        until(lambda: "nap" in ledger(folder), "the long call has begun")
        deployment.host.lose()

        assert _followed(client, deployment, run.id)[-1].type == "run.completed"
        lines = ledger(folder)
        assert (lines.count("first"), lines.count("second")) == (1, 1)
        assert lines.count("nap") == 2  # the call in flight
        assert "reaper.run_resent" in deployment.logs()


def test_a_worker_that_is_told_to_end_hands_its_runs_over(
    folder: Path, azure_server: Azurite
) -> None:
    # Nothing else would find the runs in time: no timer, messages that stay hidden, and claims that
    # hold for ten minutes.
    platform = Platform(timeout_s=600, hidden_s=600)
    with (
        azure_deployment(
            folder, azure_server, platform=platform, starts=["interactive"]
        ) as deployment,
        _client(deployment) as client,
    ):
        runs = [client.runs.submit("pay", "Go") for _ in range(2)]
        until(lambda: ledger(folder).count("nap") == 2, "the long calls have begun")
        assert deployment.host.terminate() == -signal.SIGTERM

        for run in runs:
            assert _followed(client, deployment, run.id)[-1].type == "run.completed"
            assert _kinds(deployment, run.id).count("yield") == 1
        lines = ledger(folder)
        assert (lines.count("first"), lines.count("second")) == (2, 2)
        assert lines.count("nap") == 4  # the calls in flight were cancelled
        assert deployment.host.errors == []
        assert deployment.logs().count("function.terminated") == 1
        _until_empty(deployment)


def test_a_function_that_exceeds_its_time_is_replaced(folder: Path, azure_server: Azurite) -> None:
    with (
        azure_deployment(folder, azure_server, platform=Platform(timeout_s=7)) as deployment,
        _client(deployment) as client,
    ):
        run = client.runs.submit("block", "Go")

        assert _followed(client, deployment, run.id)[-1].type == "run.completed"
        assert ledger(folder) == ["before", "hang", "hang"]
        assert deployment.host.counts["timeout"] >= 1


def test_a_function_that_goes_on_after_its_time_writes_nothing(
    folder: Path, azure_server: Azurite
) -> None:
    platform = Platform(timeout_s=7, zombies=True)
    with (
        azure_deployment(folder, azure_server, platform=platform) as deployment,
        _client(deployment) as client,
    ):
        run = client.runs.submit("pay", "Go")
        until(lambda: "nap" in ledger(folder), "the long call has begun")
        zombie = deployment.host.worker("messages").process
        os.kill(zombie.pid, signal.SIGSTOP)
        try:
            until(lambda: _kinds(deployment, run.id).count("claim") == 2, "a successor has it")
        finally:
            os.kill(zombie.pid, signal.SIGCONT)

        assert _followed(client, deployment, run.id)[-1].type == "run.completed"
        lines = ledger(folder)
        assert (lines.count("first"), lines.count("second")) == (1, 1)
        log = folder / "messages.0.log"
        until(lambda: "engine.fenced" in log.read_text(encoding="utf-8"), "the old one has stopped")
        first, second, *_ = [e for e in deployment.entries(run.id) if e["kind"] == "claim"]
        assert first["body"]["owner"] != second["body"]["owner"]
        assert zombie.poll() is None, "it is still there"


def test_duplicates_of_a_message_execute_a_run_once(folder: Path, azure_server: Azurite) -> None:
    with azure_deployment(folder, azure_server) as deployment, _client(deployment) as client:
        run = client.runs.submit("pay", "Go")
        for _ in range(5):
            deployment.send(RunRef("default", run.id))

        assert _followed(client, deployment, run.id)[-1].type == "run.completed"
        assert ledger(folder) == ["first", "nap", "woke", "second"]
        assert _kinds(deployment, run.id).count("claim") == 1
        _until_empty(deployment)


def test_a_run_of_another_instance_gets_a_new_message_that_is_hidden(
    folder: Path, azure_server: Azurite
) -> None:
    with (
        azure_deployment(folder, azure_server, starts=["interactive"]) as deployment,
        _client(deployment) as client,
    ):
        run = client.runs.submit("pay", "Go")
        until(lambda: "nap" in ledger(folder), "the run is executed")
        before = deployment.host.counts["interactive"]
        deployment.send(RunRef("default", run.id))
        until(lambda: deployment.host.counts["interactive"] > before, "the copy is taken")
        until(lambda: deployment.count("interactive") == 2, "the copy has a successor")
        assert deployment.host.waiting("interactive") == []

        assert _followed(client, deployment, run.id)[-1].type == "run.completed"
        _until_empty(deployment)
        assert deployment.host.errors == []


def test_a_store_that_is_away_poisons_messages_and_loses_no_run(
    folder: Path, azure_server: Azurite, blob_faults: AwsFaults
) -> None:
    platform = Platform(max_dequeues=2)
    with (
        azure_deployment(
            folder,
            azure_server,
            platform=platform,
            blobs=blob_faults.endpoint,
            starts=["interactive"],
        ) as deployment,
        _client(deployment) as client,
    ):
        run = client.runs.submit("talk", "Go", delay_seconds=3600)
        denied = _error(403, "AuthorizationFailure")
        blob_faults.always.update(GET=denied, PUT=denied, HEAD=denied, POST=denied)
        deployment.send(RunRef("default", run.id))
        until(lambda: deployment.count("interactive-poison") == 1, "the message is poisoned")
        blob_faults.always.clear()
        (body,) = deployment.host.waiting("interactive-poison")
        assert json.loads(body) == [f"default.{run.id}"]
        assert deployment.host.counts["poisoned"] == 1


def test_the_message_of_a_damaged_run_is_poisoned_and_settled(
    folder: Path, azure_server: Azurite
) -> None:
    platform, starts = Platform(max_dequeues=2), ["interactive", "batch"]
    with (
        azure_deployment(folder, azure_server, platform=platform, starts=starts) as deployment,
        _client(deployment) as client,
    ):
        damaged = client.runs.submit("talk", "Go", delay_seconds=3600)
        (name,) = [name for name in deployment.names() if f"/{damaged.id}/log/" in name]
        deployment.write(name, b"damaged")
        fine = client.runs.submit("talk", "Go", delay_seconds=3600)
        ref = RunRef("default", damaged.id)
        # In a message with others, it gets a message of its own.
        deployment.send(ref, RunRef("default", fine.id), queue="batch")
        _until_empty(deployment, "batch")
        until(lambda: deployment.count("batch-poison") == 1, "the message is poisoned")
        assert json.loads(*deployment.host.waiting("batch-poison")) == [str(ref)]
        deployment.send(ref)
        until(lambda: deployment.count("interactive-poison") == 1, "the message is poisoned")
        _until_empty(deployment, "interactive", "batch")


def test_a_poisoned_message_of_a_run_that_ends_its_process_fails_it_once(
    folder: Path, azure_server: Azurite
) -> None:
    with (
        azure_deployment(
            folder,
            azure_server,
            platform=Platform(timeout_s=4, hidden_s=2),
            starts=["interactive", "interactive-poison"],
        ) as deployment,
        _client(deployment) as client,
    ):
        run = client.runs.submit("die", "Go")
        until(lambda: "die" in ledger(folder), "the function has ended its process")
        while client.runs.get(run.id).status == "running":
            # Poison may come too early, while the claim still holds, and more than once.
            deployment.send(RunRef("default", run.id), queue="interactive-poison")
            _until_empty(deployment, "interactive-poison")
        ended = client.runs.get(run.id)
        assert (ended.status, ended.stop_code) == ("failed", "poison")
        assert set(ledger(folder)) == {"die"}
        deployment.send(RunRef("default", run.id), queue="interactive-poison")
        _until_empty(deployment, "interactive-poison")
        assert _kinds(deployment, run.id).count("end") == 1


def test_a_poisoned_message_of_a_run_that_nobody_began_is_sent_again(
    folder: Path, azure_server: Azurite
) -> None:
    platform, starts = Platform(hidden_s=600), ["interactive-poison"]
    with (
        azure_deployment(folder, azure_server, platform=platform, starts=starts) as deployment,
        _client(deployment) as client,
    ):
        run = client.runs.submit("talk", "Go")
        (message,) = deployment.host.receive("interactive")
        deployment.host.send_text(message.body, queue="interactive-poison")
        _until_empty(deployment, "interactive-poison")
        assert deployment.host.waiting("interactive") == [message.body]
        assert client.runs.get(run.id).status == "queued"


def test_a_batch_needs_no_timer_to_start(folder: Path, azure_server: Azurite) -> None:
    platform, starts = Platform(timeout_s=60, hidden_s=10), ["batch", "hooks"]
    with (
        azure_deployment(folder, azure_server, platform=platform, starts=starts) as deployment,
        _client(deployment) as client,
    ):
        batch = client.batches.submit("talk", ["one", "two", "three"])
        assert client.batches.wait(batch.id, timeout=90).counts.completed == 3
        assert deployment.host.counts["hooks"] >= 1


def test_malformed_messages_are_dropped_with_a_log_line(
    folder: Path, azure_server: Azurite
) -> None:
    queues = ["interactive", "batch", "hooks", "interactive-poison", "batch-poison"]
    with azure_deployment(folder, azure_server, starts=queues) as deployment:
        for queue in queues:
            for body in ("nonsense", "[]", '["a"]', "null", '["default.run_unknown"]', "é & <x>"):
                deployment.host.send_text(body, queue=queue)
        _until_empty(deployment, *queues)

        lines = [json.loads(line) for line in deployment.logs().splitlines() if line[:1] == "{"]
        malformed = [x for x in lines if x.get("action") == "function.message_malformed"]
        assert len(malformed) == 25
        assert all(line["message_id"] and line["queue"] for line in malformed)
        assert deployment.host.errors == []


def test_throttled_queues_and_a_throttled_store_lose_nothing(
    folder: Path, azure_server: Azurite, blob_faults: AwsFaults, queue_faults: AwsFaults
) -> None:
    with (
        azure_deployment(
            folder, azure_server, blobs=blob_faults.endpoint, queues=queue_faults.endpoint
        ) as deployment,
        _client(deployment) as client,
    ):
        client.server.info()
        for _ in range(6):
            blob_faults.faults["PUT"] += [busy, throttled, lost]
            blob_faults.faults["GET"] += [busy, lost]
            queue_faults.faults["POST"] += [busy, throttled]
        runs = [client.runs.submit("pay", "Go", idempotency_key=f"k{n}") for n in range(3)]
        runs += [client.runs.submit("talk", "Go") for _ in range(3)]

        for run in runs:
            assert _followed(client, deployment, run.id)[-1].type == "run.completed"
        lines = ledger(folder)
        assert (lines.count("first"), lines.count("second")) == (3, 3)
        assert not blob_faults.faults["PUT"]
        assert blob_faults.counts["PUT"] > 18
