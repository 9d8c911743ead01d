"""What happens to runs when functions, queues and the store fail as they do on AWS."""

import asyncio
import json
import threading
from collections.abc import Generator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.support.aws_deployment import KEY, AwsDeployment, aws_deployment
from tests.support.aws_faults import Fault, aws_faults, denied, throttled
from tests.support.aws_teams import ledger, open_gate, write_teams
from tests.support.lambda_service import Failed, failed_items
from tests.support.service import until
from tests.support.services import Moto

from teamrun.client import Client, Event
from teamrun.core.clock import SystemClock
from teamrun.core.refs import RunRef
from teamrun.runs.log.entries import Claim
from teamrun.runs.log.log import RunLog
from teamrun.storage.open import open_store

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

LEASE = timedelta(seconds=1)

slow_down = Fault(
    503, b"<Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>"
)
lost = Fault(500, b"<Error><Code>InternalError</Code></Error>", executes=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_teams(tmp_path)
    return tmp_path


def _client(deployment: AwsDeployment) -> Client:
    return Client(deployment.url, api_key=KEY)


def _followed(client: Client, run_id: str) -> list[Event]:
    """The events of a run as a client receives them; each once, and without a gap."""
    events = [item for item in client.runs.stream(run_id) if isinstance(item, Event)]
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert events == list(client.runs.events(run_id))
    return events


def _kinds(deployment: AwsDeployment, run_id: str) -> list[str]:
    return [entry["kind"] for entry in deployment.entries(run_id)]


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_a_run_is_carried_across_the_time_limit(folder: Path, moto_server: Moto) -> None:
    with (
        aws_deployment(folder, moto_server, timeout_s=7) as deployment,
        _client(deployment) as client,
    ):
        run = client.runs.submit("walk", "Go")
        events = _followed(client, run.id)

        assert events[-1].type == "run.completed"
        assert ledger(folder).count("nap") == ledger(folder).count("woke") == 8
        kinds = _kinds(deployment, run.id)
        assert kinds.count("yield") >= 2
        assert kinds.count("claim") == kinds.count("yield") + 1
        assert deployment.functions["worker"].errors == []
        until(lambda: deployment.count("interactive") == 0, "no message is left")
        assert deployment.count("dead") == 0


def test_a_killed_function_is_replaced_when_its_time_is_over(
    folder: Path, moto_server: Moto
) -> None:
    # The message of the killed function stays hidden: the schedule finds its run.
    with (
        aws_deployment(folder, moto_server, visibility_s=600) as deployment,
        _client(deployment) as client,
    ):
        run = client.runs.submit("pay", "Go")
        until(lambda: "nap" in ledger(folder), "the long call has begun")
        assert deployment.functions["worker"].kill() >= 1

        assert _followed(client, run.id)[-1].type == "run.completed"
        lines = ledger(folder)
        assert (lines.count("first"), lines.count("second")) == (1, 1)
        assert lines.count("nap") == 2  # the call in flight
        first, second = [each for each in deployment.entries(run.id) if each["kind"] == "claim"]
        assert _at(second["at"]) >= _at(first["body"]["until"]) + LEASE
        assert "reaper.run_resent" in deployment.logs()


def test_a_function_that_is_told_to_end_hands_its_run_over(folder: Path, moto_server: Moto) -> None:
    # Nothing else would find the run in time: no schedule, a message that stays hidden, and a claim
    # that holds for ten minutes.
    with (
        aws_deployment(
            folder, moto_server, timeout_s=600, visibility_s=600, starts=["interactive"]
        ) as deployment,
        _client(deployment) as client,
    ):
        run = client.runs.submit("pay", "Go")
        until(lambda: "nap" in ledger(folder), "the long call has begun")
        assert deployment.functions["worker"].terminate() >= 1

        assert _followed(client, run.id)[-1].type == "run.completed"
        lines = ledger(folder)
        assert (lines.count("first"), lines.count("second")) == (1, 1)
        assert lines.count("nap") == 2  # the call in flight was cancelled
        assert _kinds(deployment, run.id).count("yield") == 1


def test_a_function_that_exceeds_its_time_is_replaced(folder: Path, moto_server: Moto) -> None:
    with (
        aws_deployment(folder, moto_server, timeout_s=7) as deployment,
        _client(deployment) as client,
    ):
        run = client.runs.submit("block", "Go")

        assert _followed(client, run.id)[-1].type == "run.completed"
        assert ledger(folder) == ["before", "hang", "hang"]
        assert deployment.functions["worker"].errors == ["worker: timed out"]


def test_a_function_that_goes_on_after_its_time_writes_nothing(
    folder: Path, moto_server: Moto
) -> None:
    with (
        aws_deployment(folder, moto_server, timeout_s=7) as deployment,
        _client(deployment) as client,
    ):
        run = client.runs.submit("wait", "Go")
        until(lambda: "wait" in ledger(folder), "the call has begun")
        with deployment.functions["worker"].overtaken():
            until(lambda: _kinds(deployment, run.id).count("claim") == 2, "a successor has it")
        until(lambda: "engine.fenced" in deployment.logs(), "the old one has stopped")
        open_gate(folder)

        assert _followed(client, run.id)[-1].type == "run.completed"
        entries = deployment.entries(run.id)
        owners = [each["body"]["owner"] for each in entries if each["kind"] == "claim"]
        assert owners[0] != owners[1]
        epochs = [entry["epoch"] for entry in entries]
        assert epochs == sorted(epochs), "nothing follows of the owner that was replaced"


def test_duplicates_of_a_message_execute_a_run_once(folder: Path, moto_server: Moto) -> None:
    with aws_deployment(folder, moto_server) as deployment, _client(deployment) as client:
        run = client.runs.submit("pay", "Go")
        for _ in range(5):
            deployment.send(RunRef("default", run.id))

        assert _followed(client, run.id)[-1].type == "run.completed"
        assert ledger(folder) == ["first", "nap", "woke", "second"]
        assert _kinds(deployment, run.id).count("claim") == 1
        until(lambda: deployment.count("interactive") == 0, "no message is left")


def test_a_message_whose_run_another_instance_has_is_no_step_towards_the_dead_letters(
    folder: Path, moto_server: Moto, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in moto_server.environ().items():
        monkeypatch.setenv(name, value)
    with (
        aws_deployment(
            folder, moto_server, timeout_s=60, visibility_s=60, max_receives=1, starts=["dead"]
        ) as deployment,
        _client(deployment) as client,
    ):
        mapping, run = deployment.mappings["interactive"], client.runs.submit("talk", "Go")
        deployment.functions["worker"].warm({"Records": []})
        asyncio.run(_claim(deployment, run.id, seconds=3))
        with closing(mapping):
            mapping.start()
            assert _followed(client, run.id)[-1].type == "run.completed"
            until(lambda: deployment.count("interactive") == 0, "no message is left")

        assert len(mapping.bodies) >= 2, "it came again"
        assert deployment.functions["dead_letters"].invocations == 0
        assert deployment.count("dead") == 0


async def _claim(deployment: AwsDeployment, run_id: str, *, seconds: float) -> None:
    """Let another worker own the run."""
    store = open_store(deployment.environ["TEAMRUN_STORE_URL"])
    log = RunLog(store, RunRef("default", run_id), writer="other", clock=SystemClock())
    over = datetime.now(UTC) + timedelta(seconds=seconds)
    await log.append(await log.state(), Claim(owner="other", until=over), [], epoch=1)


def test_answers_that_sqs_does_not_understand_repeat_messages_and_nothing_else(
    folder: Path, moto_server: Moto
) -> None:
    wrong: list[Any] = [
        {"batchItemFailures": [{"itemIdentifier": ""}]},
        {"batchItemFailures": [{"itemIdentifier": "unknown"}]},
        {"batchItemFailures": [{"id": "x"}]},
    ]
    with (
        aws_deployment(folder, moto_server, visibility_s=2) as deployment,
        _client(deployment) as client,
    ):
        mapping = deployment.mappings["interactive"]
        mapping.alter = lambda answer: wrong.pop() if wrong else answer
        run = client.runs.submit("pay", "Go")

        assert _followed(client, run.id)[-1].type == "run.completed"
        until(lambda: deployment.count("interactive") == 0, "no message is left")
        assert not wrong
        assert ledger(folder) == ["first", "nap", "woke", "second"]
        assert deployment.count("dead") == 0


def test_a_message_that_was_received_too_often_is_settled(folder: Path, moto_server: Moto) -> None:
    with (
        aws_deployment(
            folder, moto_server, visibility_s=1, max_receives=2, starts=["interactive", "dead"]
        ) as deployment,
        _client(deployment) as client,
    ):
        deployment.mappings["interactive"].alter = lambda answer: "nonsense"
        run = client.runs.submit("talk", "Go")

        assert _followed(client, run.id)[-1].type == "run.completed"
        until(lambda: deployment.functions["dead_letters"].invocations, "it is a dead letter")
        until(lambda: not deployment.count("interactive"), "no message is left")
        until(lambda: not deployment.count("dead"), "no dead letter is left")
        assert _kinds(deployment, run.id).count("end") == 1


def test_a_dead_letter_of_a_run_that_is_alive_changes_nothing(
    folder: Path, moto_server: Moto
) -> None:
    with aws_deployment(folder, moto_server) as deployment, _client(deployment) as client:
        run = client.runs.submit("pay", "Go")
        until(lambda: "nap" in ledger(folder), "the run is executed")
        deployment.send(RunRef("default", run.id), queue="dead")
        until(lambda: deployment.count("dead") == 0, "the dead letter is settled")

        assert _followed(client, run.id)[-1].type == "run.completed"
        assert ledger(folder) == ["first", "nap", "woke", "second"]


def test_a_dead_letter_of_a_run_that_was_lost_once_is_sent_again(
    folder: Path, moto_server: Moto
) -> None:
    with (
        aws_deployment(folder, moto_server, starts=[]) as deployment,
        _client(deployment) as client,
    ):
        run = client.runs.submit("block", "Go")
        event = deployment.event(RunRef("default", run.id))
        with pytest.raises(Failed, match="timed out"):
            deployment.functions["worker"].invoke(event)

        # Its time is over; one lease later, no worker owns it.
        before = deployment.count("interactive")
        until(lambda: _settled(deployment, event) > before, "the run is sent again")
        assert _kinds(deployment, run.id)[-1] != "end"
        assert deployment.functions["worker"].invoke(event) == {"batchItemFailures": []}
        assert client.runs.get(run.id).status == "completed"


def _settled(deployment: AwsDeployment, event: dict[str, Any]) -> int:
    assert deployment.functions["dead_letters"].invoke(event) == {"batchItemFailures": []}
    return deployment.count("interactive")


def test_a_batch_needs_no_schedule_to_start(folder: Path, moto_server: Moto) -> None:
    starts = ["batch", "hooks"]
    with (
        aws_deployment(folder, moto_server, timeout_s=60, starts=starts) as deployment,
        _client(deployment) as client,
    ):
        batch = client.batches.submit("talk", ["one", "two", "three"])
        assert client.batches.wait(batch.id, timeout=90).counts.completed == 3


def test_malformed_messages_are_dropped_with_a_log_line(folder: Path, moto_server: Moto) -> None:
    with aws_deployment(folder, moto_server, starts=["interactive", "hooks", "dead"]) as deployment:
        for queue in ("interactive", "hooks", "dead"):
            for body in ("nonsense", "[]", '["a"]', "null", '["default.run_unknown"]', "é"):
                deployment.send_text(body, queue=queue)
        for queue in ("interactive", "hooks", "dead"):
            until(lambda: deployment.count(queue) == 0, f"{queue} is empty")  # noqa: B023

        lines = [json.loads(line) for line in deployment.logs().splitlines() if line[:1] == "{"]
        malformed = [x for x in lines if x.get("action") == "function.message_malformed"]
        assert len(malformed) == 15
        assert all(line["message_id"] and line["queue"] for line in malformed)
        assert not any(function.errors for function in deployment.functions.values())


@pytest.fixture
def proxied(folder: Path, moto_server: Moto) -> Generator[tuple[AwsDeployment, Any]]:
    with (
        aws_faults(moto_server.endpoint) as faults,
        aws_deployment(folder, moto_server, endpoint=faults.endpoint, starts=[]) as deployment,
    ):
        yield deployment, faults


def test_a_run_that_another_executes_gets_one_new_message_that_is_delayed(
    proxied: tuple[AwsDeployment, Any], folder: Path
) -> None:
    deployment, faults = proxied
    mapping, worker = deployment.mappings["interactive"], deployment.functions["worker"]
    with _client(deployment) as client:
        held, ended, fresh = [
            client.runs.submit(team, "Go").id for team in ("wait", "talk", "talk")
        ]

        def message(number: int, *ids: str, body: str = "") -> dict[str, Any]:
            refs = [f"default.{run_id}" for run_id in ids]
            return {
                "MessageId": f"m{number}",
                "ReceiptHandle": f"r{number}",
                "Body": body or json.dumps(refs),
                "MD5OfBody": "",
            }

        worker.invoke(mapping.event([message(0, ended)]))
        executing = threading.Thread(target=worker.invoke, args=[mapping.event([message(0, held)])])
        executing.start()
        until(lambda: "wait" in ledger(folder), "the run is executed")
        messages = [
            message(1, held),
            message(2, fresh),
            message(3, ended, held),
            message(4, body="nonsense"),
            message(5, "run_absent"),
            message(6, ended),
        ]
        faults.bodies.clear()
        event = mapping.event(messages)
        event["Records"][0]["eventSourceARN"] = "arn:aws:sqs:us-east-1:123456789012:other"
        answer = worker.invoke(event)
        sent = [json.loads(body) for body in faults.bodies["SendMessageBatch"]]
        faults.always["SendMessageBatch"] = denied
        refused = worker.invoke(mapping.event(messages))
        faults.always.clear()
        open_gate(folder)
        executing.join()

        assert answer == {"batchItemFailures": []}
        assert deployment.logs().count("function.queue_unknown") == 1
        [(entry,)] = [each["Entries"] for each in sent]
        assert json.loads(entry["MessageBody"]) == [f"default.{held}"]
        assert 1 <= entry["DelaySeconds"] <= 14
        assert failed_items(refused, {f"m{n}" for n in range(1, 7)}) == {"m1", "m3"}
        assert not faults.bodies["ChangeMessageVisibility"]
        assert client.runs.get(fresh).status == "completed"
        assert client.runs.get(held).status == "completed"


def test_an_instance_that_was_frozen_for_long_goes_on(
    proxied: tuple[AwsDeployment, Any],
) -> None:
    """All servers have closed its connections, and a run in its memory has ended elsewhere."""
    deployment, faults = proxied
    worker = deployment.functions["worker"]
    with _client(deployment) as client:
        asking, other = client.runs.submit("ask", "Go"), client.runs.submit("talk", "Go")
        asked, further = [deployment.event(RunRef("default", each.id)) for each in (asking, other)]
        worker.warm({"Records": []})
        frozen, second = worker.sandboxes
        frozen.invoke(asked)
        run = client.runs.get(asking.id)
        client.runs.answer(run.id, run.required_actions[0].id, content="blue")
        second.invoke(asked)
        before = deployment.entries(asking.id)
        assert client.runs.get(asking.id).status == "completed"
        assert faults.cut() >= 3

        assert frozen.invoke(asked) == {"batchItemFailures": []}
        assert deployment.entries(asking.id) == before
        assert frozen.invoke(further) == {"batchItemFailures": []}
        assert client.runs.get(other.id).status == "completed"
        lines = [json.loads(line) for line in deployment.logs().splitlines() if line[:1] == "{"]
        assert not [line for line in lines if line["level"] in ("warning", "error")]


def test_the_message_of_a_damaged_run_fails_and_other_runs_end(
    proxied: tuple[AwsDeployment, Any],
) -> None:
    deployment, faults = proxied
    worker = deployment.functions["worker"]
    with _client(deployment) as client:
        damaged, fine = [client.runs.submit("talk", "Go").id for _ in range(2)]
        pages = deployment.s3.list_objects_v2(Bucket=deployment.bucket)["Contents"]
        (key,) = [each["Key"] for each in pages if f"/{damaged}/log/" in each["Key"]]
        deployment.s3.put_object(Bucket=deployment.bucket, Key=key, Body=b"damaged")
        event = deployment.event(RunRef("default", damaged), RunRef("default", fine))
        faults.bodies.clear()
        assert failed_items(worker.invoke(event), {"m"}) == {"m"}
        assert not faults.bodies["SendMessageBatch"], "a new message would not be counted"
        assert client.runs.get(fine).status == "completed"
        assert deployment.functions["dead_letters"].invoke(event) == {"batchItemFailures": []}


def test_throttled_queues_and_a_throttled_store_lose_nothing(
    folder: Path, moto_server: Moto
) -> None:
    with (
        aws_faults(moto_server.endpoint) as faults,
        aws_deployment(folder, moto_server, endpoint=faults.endpoint, timeout_s=9) as deployment,
        _client(deployment) as client,
    ):
        client.server.info()
        faults.every["PUT"] = (5, slow_down)
        faults.every["GET"] = (7, lost)
        faults.every["SendMessageBatch"] = (2, throttled)
        runs = [client.runs.submit("pay", "Go", idempotency_key=f"k{n}") for n in range(3)]
        runs += [client.runs.submit("talk", "Go") for _ in range(3)]

        for run in runs:
            assert _followed(client, run.id)[-1].type == "run.completed"
        lines = ledger(folder)
        assert (lines.count("first"), lines.count("second")) == (3, 3)
        assert faults.counts["PUT"] > 20
