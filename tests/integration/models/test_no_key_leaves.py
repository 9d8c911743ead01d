"""No key of a model profile is in a log line, event, object, error, answer, span or metric."""

import json
import logging
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from tests.support.model_replies import Reply
from tests.support.model_server import ModelServer
from tests.support.otlp_receiver import receiver

from teamrun.live.memory import MemoryLive
from teamrun.logs import JsonFormatter
from teamrun.runs.service.requests import RunRequest
from teamrun.runtime import Backends, open_runtime
from teamrun.settings import CommonSettings
from teamrun.storage.memory import MemoryStore

pytestmark = pytest.mark.integration

KEY = "canary-key-4711-abcdef"


@dataclass(frozen=True)
class Case:
    id: str
    profile: str


CASES = [
    Case("openai", 'type: openai, model: gpt-4o, base_url: "{address}/v1", api_key: "${{KEY}}"'),
    Case(
        "written in the file",
        f'type: openai, model: m, base_url: "{{address}}/v1", api_key: "{KEY}"',
    ),
    Case(
        "a header",
        'type: openai, model: m, base_url: "{address}/v1", api_key: k,'
        ' default_headers: {{X-Key: "${{KEY}}"}}',
    ),
    Case("azure", 'type: azure_openai, model: gpt-4o, endpoint: "{address}", api_key: "${{KEY}}"'),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
async def test_a_key_that_the_server_repeats_in_its_errors_is_shown_nowhere(
    case: Case, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with receiver() as collector:
        async with ModelServer() as server:
            server.plan.default = Reply(status=503, content=f"The key {KEY} is not welcome.")
            profile = case.profile.format(address=server.address)
            path = tmp_path / "teamrun.yaml"
            path.write_text(
                f"""\
version: 1
models:
  main: {{{profile}, max_retries: 1, fallback: second, cache: {{}},
          circuit_breaker: {{failures: 2}}}}
  second: {{{profile}, max_retries: 0}}
agents: {{a: {{model: main}}}}
teams: {{pair: {{type: round_robin_group_chat, agents: [a], max_turns: 1}}}}
""",
                encoding="utf-8",
            )
            store, shown = MemoryStore(), list[str]()
            async with open_runtime(
                CommonSettings(config=path, data_dir=tmp_path),
                environ={"KEY": KEY, "OTEL_EXPORTER_OTLP_ENDPOINT": collector.address},
                executes=False,
                grace=timedelta(seconds=5),
                backends=lambda _: Backends(store, MemoryLive(), None),
            ) as runtime:
                for _ in range(2):
                    request = RunRequest(team="pair", input="task")
                    submitted = await runtime.service.submit("default", request)
                    run_id = submitted.run.id
                    run = await runtime.service.wait(
                        "default", run_id, timeout=timedelta(seconds=30)
                    )
                    page = await runtime.service.events("default", run_id, limit=1000)
                    shown += [run.model_dump_json(), page.model_dump_json()]
                    assert run.status == "failed"
                shown += list(runtime.metric_lines())
            assert KEY in json.dumps([request["headers"] for request in server.requests])

    shown += [(await store.get(key)).decode() for key in await store.list("")]
    shown += [JsonFormatter().format(record) for record in caplog.records]
    assert any("model.fell_back" in text for text in shown)
    assert any("model.circuit_opened" in text for text in shown)
    assert "not welcome" in "".join(shown)
    assert [text for text in shown if KEY in text] == []
    assert collector.bodies
    assert KEY.encode() not in b"".join(collector.bodies)
