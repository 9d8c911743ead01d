"""Spans and metrics of real runs, as a collector receives them by OTLP over HTTP."""

import logging
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.support.model_replies import Reply
from tests.support.model_server import ModelServer
from tests.support.otlp_receiver import receiver, values_of

from teamrun import telemetry
from teamrun.components.registry import Registry
from teamrun.errors import MissingPackage
from teamrun.live.memory import MemoryLive
from teamrun.runs.log.traces import Span, Trace
from teamrun.runs.service.requests import RunRequest
from teamrun.runtime import Backends, open_runtime
from teamrun.settings import CommonSettings
from teamrun.storage.memory import MemoryStore
from teamrun.telemetry import open_telemetry

pytestmark = pytest.mark.integration

GIVEN = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
TRACE, PARENT = GIVEN.split("-")[1:3]
CANARY = "canary-4711"
NOW = datetime(2026, 11, 30, tzinfo=UTC)
SPAN = Span("invoke_workflow t", "invoke_workflow", Trace(TRACE), PARENT, None, NOW, NOW)
FILE = """\
version: 1
models:
  main:
    {{type: openai, model: gpt-4o, base_url: "{address}", api_key: "{canary}-key", max_retries: 0}}
agents:
  a: {{model: main, system_message: "{canary}-system"}}
teams:
  pair: {{type: round_robin_group_chat, agents: [a], max_turns: 1}}
"""


async def run(
    folder: Path,
    environ: dict[str, str],
    *replies: Reply,
    traceparent: str | None = None,
    at_end: Callable[[], None] = lambda: None,
) -> Any:
    async with ModelServer() as server:
        server.plan.queue += replies
        path = folder / "teamrun.yaml"
        path.write_text(FILE.format(address=server.base_url, canary=CANARY), encoding="utf-8")
        settings = CommonSettings(config=path, data_dir=folder)
        async with open_runtime(
            settings,
            environ=environ,
            executes=False,
            grace=timedelta(seconds=5),
            backends=lambda _: Backends(MemoryStore(), MemoryLive(), None),
        ) as runtime:
            request = RunRequest(team="pair", input=f"{CANARY}-task")
            submitted = await runtime.service.submit("default", request, traceparent=traceparent)
            done = await runtime.service.wait(
                "default", submitted.run.id, timeout=timedelta(seconds=30)
            )
            await runtime.settled()
            at_end()
            return done


async def test_a_collector_receives_the_spans_and_metrics_of_a_run(tmp_path: Path) -> None:
    with receiver() as collector:
        environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.address}
        answer = Reply(content=f"{CANARY}-answer", prompt_tokens=11, completion_tokens=7)
        done = await run(tmp_path, environ, answer, traceparent=GIVEN)

    assert (done.status, done.trace_id) == ("completed", TRACE)
    spans = {span.name: span for span in collector.spans}
    assert len(spans) == len(collector.spans) == 3
    root, turn, chat = (
        spans[name] for name in ("invoke_workflow pair", "invoke_agent a", "chat gpt-4o")
    )
    assert {span.trace_id.hex() for span in collector.spans} == {TRACE}
    assert root.parent_span_id.hex() == PARENT
    assert (turn.parent_span_id, chat.parent_span_id) == (root.span_id, turn.span_id)
    assert (root.kind, turn.kind, chat.kind) == (1, 1, 3), "internal, internal, client"
    assert root.start_time_unix_nano <= chat.start_time_unix_nano <= chat.end_time_unix_nano
    said = values_of(chat.attributes)
    assert said["gen_ai.provider.name"] == "openai"
    assert said["gen_ai.request.model"] == "gpt-4o"
    assert (said["gen_ai.usage.input_tokens"], said["gen_ai.usage.output_tokens"]) == (11, 7)
    assert collector.resources[0]["service.name"] == "teamrun"

    used = collector.metrics["gen_ai.client.token.usage"].histogram.data_points
    by_type = {values_of(each.attributes)["gen_ai.token.type"]: each.sum for each in used}
    assert by_type == {"input": 11, "output": 7}
    [took] = collector.metrics["gen_ai.client.operation.duration"].histogram.data_points
    assert took.count == 1
    assert values_of(took.attributes) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.response.model": said["gen_ai.response.model"],
    }
    assert CANARY.encode() not in b"".join(collector.bodies)


async def test_a_process_that_is_frozen_has_sent_its_spans_before(tmp_path: Path) -> None:
    with receiver() as collector:
        environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.address}
        sent: list[int] = []
        await run(tmp_path, environ, Reply(), at_end=lambda: sent.append(len(collector.spans)))
    assert sent == [len(collector.spans)] == [3]


async def test_a_failed_call_has_its_status_and_not_its_text(tmp_path: Path) -> None:
    with receiver() as collector:
        environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"{collector.address}/"}
        done = await run(tmp_path, environ, Reply(status=503, content=f"{CANARY}-words"))

    assert done.status == "failed"
    spans = {span.name: span for span in collector.spans}
    chat, root = spans["chat gpt-4o"], spans["invoke_workflow pair"]
    assert (chat.status.code, chat.status.message) == (2, "")
    assert values_of(chat.attributes)["error.type"] == "503"
    assert values_of(root.attributes)["error.type"] == "model_error"
    assert root.parent_span_id == b""
    [took] = collector.metrics["gen_ai.client.operation.duration"].histogram.data_points
    assert values_of(took.attributes)["error.type"] == "503"
    assert "gen_ai.client.token.usage" not in collector.metrics
    assert CANARY.encode() not in b"".join(collector.bodies)


async def test_a_trace_that_the_client_does_not_record_is_not_recorded(tmp_path: Path) -> None:
    with receiver() as collector:
        environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.address}
        await run(tmp_path, environ, Reply(), traceparent=GIVEN[:-1] + "0")
    assert collector.spans == []
    assert collector.metrics


SIGNALS: list[tuple[str, dict[str, str], bool, bool]] = [
    ("OTEL_EXPORTER_OTLP_ENDPOINT", {}, True, True),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", {"OTEL_METRICS_EXPORTER": "none"}, True, False),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", {"OTEL_TRACES_EXPORTER": "none"}, False, True),
]


@pytest.mark.parametrize(("name", "more", "traces", "metrics"), SIGNALS)
async def test_the_standard_variables_switch_each_signal(
    tmp_path: Path, name: str, more: dict[str, str], traces: bool, metrics: bool
) -> None:
    with receiver() as collector:
        await run(tmp_path, {name: collector.address, **more}, Reply())
    assert (bool(collector.spans), bool(collector.metrics)) == (traces, metrics)


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"OTEL_EXPORTER_OTLP_HEADERS": "a=b"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_SDK_DISABLED": "true"},
        {
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
            "OTEL_TRACES_EXPORTER": "none",
            "OTEL_METRICS_EXPORTER": "none",
        },
    ],
)
def test_nothing_is_exported_unless_an_address_is_set(environ: dict[str, str]) -> None:
    assert open_telemetry(environ, Registry.of(teams={})) is None


def test_without_the_packages_the_process_starts_and_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def missing(package: str, **_: Any) -> None:
        raise MissingPackage("no", package=package, extra="otel")

    monkeypatch.setattr(telemetry, "require", missing)
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    with caplog.at_level(logging.WARNING):
        assert open_telemetry(environ, Registry.of(teams={})) is None
    [record] = caplog.records
    assert record.__dict__["action"] == "telemetry.unavailable"
    assert record.__dict__["package"] == "opentelemetry-sdk"


async def test_a_collector_that_does_not_answer_holds_no_process_up(
    caplog: pytest.LogCaptureFixture,
) -> None:
    silent = socket.create_server(("127.0.0.1", 0))
    address = f"http://127.0.0.1:{silent.getsockname()[1]}"
    opened = open_telemetry({"OTEL_EXPORTER_OTLP_ENDPOINT": address}, Registry.of(teams={}))
    assert opened is not None
    opened.observer.export(SPAN)
    await opened.close(timedelta(milliseconds=50))
    assert "telemetry.not_sent" in [record.__dict__.get("action") for record in caplog.records]
    silent.close()
