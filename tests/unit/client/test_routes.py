"""Each route of the API has a call, which sends what the route takes and reads what it answers."""

import inspect
import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast, get_type_hints

import pytest
from pydantic import BaseModel

from teamrun.batches.requests import BatchRequest
from teamrun.client import RetryPolicy
from teamrun.client.aio import AsyncClient
from teamrun.client.binding import Group, Method
from teamrun.client.calls import (
    artifacts,
    batch_journeys,
    batches,
    files,
    runs,
    server,
    signals,
    teams,
    threads,
    waiting,
    webhooks,
)
from teamrun.client.calls.batch_options import FileOptions
from teamrun.client.calls.run_options import RunOptions
from teamrun.client.readings import LineReading
from teamrun.client.requests import Lines, Paged, Reply, Request, Streamed
from teamrun.client.sync import Client
from teamrun.json_types import JsonObject
from teamrun.runs.service.requests import RunRequest

ROOT = Path(__file__).parents[3]
DOCUMENT: dict[str, Any] = json.loads(
    (ROOT / "docs/reference/openapi.json").read_text(encoding="utf-8")
)

CALLS: dict[str, Request[Any] | Paged[Any] | Lines[Any]] = {
    "submitRun": runs.submit(
        "analysts",
        "Go",
        wait_seconds=5,
        overrides={"model": "default"},
        metadata={"a": "b"},
        tags=["c"],
        limits={"max_turns": 3},
        retry={"max_attempts": 2},
        delay_seconds=1.0,
        expires_in_seconds=9.0,
        webhook={"url": "https://example.com/hook"},
    ),
    "listRuns": runs.list_runs(status="failed", team="t", tag="g", order="asc", limit=3, after="c"),
    "getRun": runs.poll_run("run_1", wait_seconds=5, after_revision=3),
    "deleteRun": runs.delete_run("run_1"),
    "getRunResult": runs.result("run_1", wait_seconds=5),
    "readRunEvents": runs.events("run_1", after=4, types=["run.completed"], limit=7),
    "cancelRun": signals.cancel("run_1", reason="why", mode="graceful"),
    "answerRun": signals.answer("run_1", "a", decision="approve", content="c", data={"x": 1}),
    "speakToRun": signals.message("run_1", "text", source="user"),
    "pauseRun": signals.pause("run_1"),
    "resumeRun": signals.resume("run_1", limits={"max_turns": 9}, from_="start"),
    "retryRun": signals.retry("run_1", from_="here"),
    "forkRun": signals.fork(
        "run_1", after_seq=3, input="x", overrides={"max_turns": 3}, limits={"max_turns": 9}
    ),
    "listRunArtifacts": artifacts.list_artifacts("run_1"),
    "getRunArtifact": artifacts.read("run_1", "chart.png"),
    "getRunArtifactVersion": artifacts.read("run_1", "chart.png", version=2),
    "createTeam": teams.create(
        "haiku", {}, description="d", metadata={"a": "b"}, comment="c", idempotency_key="k"
    ),
    "listTeams": teams.list_teams(limit=3, after="c"),
    "getTeam": teams.get_team("analysts"),
    "updateTeam": teams.update(
        "haiku", new_name="poem", description="d", metadata={"a": "b"}, revision=3
    ),
    "deleteTeam": teams.delete_team("haiku", revision=3),
    "addTeamVersion": teams.add_version("haiku", {}, comment="c", revision=3, idempotency_key="k"),
    "listTeamVersions": teams.versions("haiku", limit=3, after="c"),
    "getTeamVersion": teams.get_version("haiku", 2),
    "putTeamAlias": teams.put_alias("haiku", "production", 2, revision=3),
    "deleteTeamAlias": teams.delete_alias("haiku", "production", revision=3),
    "diffTeamVersions": teams.diff("haiku", 1, 2),
    "getTeamGraph": teams.graph("haiku", version=2),
    "getTeamSchema": teams.schema("haiku", version="production"),
    "validateTeam": teams.validate("analysts"),
    "createThread": threads.create_thread(metadata={"a": "b"}, idempotency_key="k"),
    "listThreads": threads.list_threads(limit=3, after="c"),
    "getThread": threads.get_thread("thr_1"),
    "updateThread": threads.update_thread("thr_1", metadata={"a": "b"}, revision=3),
    "deleteThread": threads.delete_thread("thr_1", revision=3),
    "listThreadMessages": threads.thread_messages("thr_1", limit=3, after="c"),
    "listThreadRuns": threads.thread_runs("thr_1", limit=3, after="c"),
    "getThreadState": threads.thread_state("thr_1"),
    "getWebhookSecret": webhooks.run_secret(),
    "rotateWebhookSecret": webhooks.rotate_run_secret(overlap_seconds=60),
    "redeliverToRun": webhooks.redeliver_to_run("run_1", "run_1-2"),
    "createWebhook": webhooks.create(
        "https://example.com/",
        events=["*"],
        payload="thin",
        format="cloudevents",
        description="d",
        metadata={"a": "b"},
    ),
    "listWebhooks": webhooks.list_webhooks(),
    "getWebhook": webhooks.get("whe_1"),
    "updateWebhook": webhooks.update(
        "whe_1",
        url="https://example.com/",
        events=["*"],
        payload="thin",
        format="cloudevents",
        description="d",
        metadata={"a": "b"},
        enabled=False,
        version=2,
    ),
    "deleteWebhook": webhooks.delete("whe_1"),
    "rotateSecretOfWebhook": webhooks.rotate_secret("whe_1", overlap_seconds=60),
    "testWebhook": webhooks.test("whe_1", event_type="run.failed"),
    "enableWebhook": webhooks.enable("whe_1"),
    "listDeliveries": webhooks.deliveries("whe_1", status="failed", limit=2, after="c"),
    "redeliver": webhooks.redeliver("whe_1", "run_1-2"),
    "redeliverSince": webhooks.redeliver_since(
        "whe_1", datetime(2026, 1, 1, tzinfo=UTC), which="all", after="c"
    ),
    "listWebhookEventTypes": webhooks.event_types(),
    "listRunDeliveries": webhooks.run_deliveries("run_1", limit=3, after="c"),
    "listBatchDeliveries": webhooks.batch_deliveries("bat_1", limit=3, after="c"),
    "redeliverToBatch": webhooks.redeliver_to_batch("bat_1", "bat_1-2"),
    "getHealth": server.health(),
    "getReadiness": server.readiness(),
    "getMetrics": server.metrics(),
    "getInfo": server.info(),
    "submitBatch": batches.submit_uploaded(
        "analysts",
        "file_1",
        overrides={"model": "default"},
        max_concurrency=3,
        limits={"max_cost_usd": "1"},
        item_limits={"max_turns": 3},
        retry={"max_attempts": 2},
        on_item_failure="stop",
        max_failure_rate=0.5,
        min_sample=3,
        completion_window_seconds=60.0,
        priority="batch",
        metadata={"a": "b"},
        tags=["c"],
        webhook={"url": "https://example.com/hook"},
        input_format="csv",
        input_template="{a}",
        on_invalid="skip",
    ),
    "listBatches": batches.list_batches(limit=3, after="c"),
    "getBatch": batches.poll_batch("bat_1", wait_seconds=5, after_revision=3),
    "listBatchItems": batches.items("bat_1", status="failed", custom_id="x", limit=3, after="c"),
    "getBatchResults": batches.results("bat_1"),
    "getBatchErrors": batches.errors("bat_1"),
    "readBatchEvents": batches.events("bat_1", after=4, limit=7),
    "deleteBatch": batches.delete_batch("bat_1"),
    "cancelBatch": batches.cancel("bat_1", reason="why"),
    "pauseBatch": batches.pause("bat_1"),
    "resumeBatch": batches.resume("bat_1"),
    "retryFailedItems": batches.retry_failed("bat_1"),
    "uploadFile": files.upload(__file__),
    "listFiles": files.list_files(limit=3, after="c"),
    "getFile": files.get_file("file_1"),
    "getFileContent": files.read("file_1"),
    "deleteFile": files.delete_file("file_1"),
}
"""A call of each operation, with every argument that it takes."""

NOT_CALLED: frozenset[str] = frozenset()
"""Operations that the client leaves out on purpose."""

OTHER_CALLS = {
    runs.get_run,  # `poll_run` without its headers
    runs.stream,  # the same route as `events`
    artifacts.download,  # the same route as `read`
    batches.stream,  # the same route as `events`
    batches.download_results,  # the same route as `results`
    batches.download_errors,
    files.download,
    waiting.wait,
    waiting.submit_and_wait,
    batch_journeys.submit,
    batch_journeys.submit_file,
    batch_journeys.wait,
}
"""Methods of the client beside those of `CALLS`."""


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


OPERATIONS = {each["operationId"]: (method, path, each) for method, path, each in operations()}


def request_of(name: str) -> Request[Any]:
    call = CALLS[name]
    if isinstance(call, Lines):
        return LineReading[Any](call, RetryPolicy()).request()
    return call.first if isinstance(call, Paged) else call


def methods_of(group: type[Group]) -> dict[str, Any]:
    return {name: value.call for name, value in vars(group).items() if isinstance(value, Method)}


def groups_of(client: object) -> dict[str, type[Group]]:
    return {name: type(each) for name, each in vars(client).items() if isinstance(each, Group)}


def test_every_operation_has_a_call_or_is_left_out_on_purpose() -> None:
    assert CALLS.keys() | NOT_CALLED == OPERATIONS.keys()
    assert not CALLS.keys() & NOT_CALLED


@pytest.mark.parametrize("name", CALLS)
def test_a_call_sends_what_its_operation_takes(name: str) -> None:
    method, path, operation = OPERATIONS[name]
    request = request_of(name)
    parameters: list[dict[str, Any]] = operation.get("parameters", [])
    taken = {each["name"] for each in parameters if each["in"] == "query"}
    headers = {each["name"] for each in parameters if each["in"] == "header"}

    assert request.method == method
    assert re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", path), request.path)
    assert request.query.keys() <= taken
    sent = request.headers.keys() - {"Accept", "Content-Type"}
    # A server that needs no key ignores it.
    assert sent <= headers | {"Idempotency-Key"}
    assert ("Idempotency-Key" in sent) == (method == "POST" and isinstance(request.body, bytes))


@pytest.mark.parametrize(
    "name", [name for name in CALLS if isinstance(request_of(name).body, bytes)]
)
def test_the_fields_of_a_body_are_those_of_its_schema(name: str) -> None:
    schema = OPERATIONS[name][2]["requestBody"]["content"]["application/json"]["schema"]
    body = request_of(name).body

    assert isinstance(body, bytes)
    assert json.loads(body).keys() <= fields_of(schema)


def fields_of(schema: Mapping[str, Any]) -> set[str]:
    """The properties of a schema, or of all its branches."""
    if "$ref" in schema:
        return fields_of(DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    found = set[str](schema.get("properties", {}))
    for branch in schema.get("oneOf", []):
        found |= fields_of(branch)
    return found


def test_both_clients_have_the_same_methods_and_each_call_is_bound() -> None:
    sync, aio = (
        groups_of(Client("http://127.0.0.1:1")),
        groups_of(AsyncClient("http://127.0.0.1:1")),
    )
    bound = {name: methods_of(group) for name, group in sync.items()}
    functions = {call for methods in bound.values() for call in methods.values()}
    modules = {runs, signals, artifacts, teams, threads, server, webhooks, batches, files}
    made = {
        value
        for module in modules
        for name, value in vars(module).items()
        if name in module.__all__
        and inspect.isfunction(value)
        and value.__module__ == module.__name__
    }
    helpers = {
        *(runs.read_message, runs.stream_frames, runs.poll_run),
        *(batches.poll_batch, batches.submit_items),
    }

    assert bound == {name: methods_of(group) for name, group in aio.items()}
    assert functions | helpers == made | OTHER_CALLS


EXAMPLES = [
    (name, status, ref["$ref"].rpartition("/")[2])
    for name, (_, _, operation) in OPERATIONS.items()
    if name not in NOT_CALLED
    for status, answer in operation["responses"].items()
    if status.startswith("2")
    for ref in answer.get("content", {}).get("application/json", {}).get("examples", {}).values()
]


@pytest.mark.parametrize(("name", "status", "example"), EXAMPLES)
def test_each_declared_answer_is_read(name: str, status: str, example: str) -> None:
    value = DOCUMENT["components"]["examples"][example]["value"]

    read = request_of(name).read(Reply(int(status), {}, json.dumps(value).encode()))

    assert isinstance(read, BaseModel)
    again = json.dumps(read.model_dump(mode="json", by_alias=True))
    assert json.loads(again) == json.loads(json.dumps(value).replace(".000000Z", "Z"))


@pytest.mark.parametrize(("name", "status", "example"), EXAMPLES)
def test_fields_and_values_of_a_newer_server_do_not_fail_an_answer(
    name: str, status: str, example: str
) -> None:
    schema = OPERATIONS[name][2]["responses"][status]["content"]["application/json"]["schema"]
    value = DOCUMENT["components"]["examples"][example]["value"]
    newer = as_if_newer(value, schema)

    read = request_of(name).read(Reply(int(status), {}, json.dumps(newer).encode()))

    assert isinstance(read, BaseModel)
    if "status" in value:
        assert read.model_dump(mode="json")["status"] == "newer"


def as_if_newer(value: Any, schema: Mapping[str, Any]) -> Any:
    """The value with a field more in each object, and another word for each of an enumeration."""
    if "$ref" in schema:
        return as_if_newer(
            value, DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        )
    if isinstance(value, str):
        closed = "enum" in schema or "const" in schema
        return "newer" if closed else value
    for branch in schema.get("anyOf", []):
        if branch.get("type") != "null":
            value = as_if_newer(value, branch)
    if isinstance(value, list):
        return [as_if_newer(each, schema.get("items", {})) for each in cast("list[Any]", value)]
    if isinstance(value, dict) and "properties" in schema:
        known: dict[str, Any] = schema["properties"]
        fields = cast("JsonObject", value)
        newer = {key: as_if_newer(each, known.get(key, {})) for key, each in fields.items()}
        return {**newer, "added_later": {"x": 1}}
    return cast("Any", value)


@pytest.mark.parametrize(
    ("options", "request_", "own"),
    [
        (RunOptions, RunRequest, {"team", "team_spec", "input"}),
        (FileOptions, BatchRequest, {"team", "team_spec", "items", "input_file_id", "input_url"}),
    ],
)
def test_the_options_of_a_call_are_the_fields_of_its_request(
    options: type[Any], request_: type[BaseModel], own: set[str]
) -> None:
    assert get_type_hints(options).keys() | own == request_.model_fields.keys()


def test_a_stream_and_a_page_of_events_are_one_route() -> None:
    stream: Streamed[Any] = runs.stream("run_1")

    assert stream.path == request_of("readRunEvents").path
