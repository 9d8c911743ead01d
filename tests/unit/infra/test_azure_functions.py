"""The functions on Azure as the platform indexes them, and their time limit."""

import json
import logging
import subprocess
import sys
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import azure.functions as func
import pytest
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from tests.support.functions_worker import APP

from teamrun.dispatch.queues import Queue
from teamrun.errors import UsageError
from teamrun.settings import CommonSettings
from teamrun_infra.azure.executing import Executing
from teamrun_infra.azure.function_app import make_function_app
from teamrun_infra.azure.serving import Serving
from teamrun_infra.azure.settings import read_settings
from teamrun_infra.azure.time_limit import TimeLimit

QUEUE_URL = "azq://teamrun?account=acc"


def _bindings(environ: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for function in make_function_app(environ).get_functions():
        trigger: Any = function.get_trigger()
        found[str(function.get_function_name())] = trigger.get_dict_repr()
    return found


def test_there_is_a_function_for_each_queue_and_a_timer() -> None:
    bindings = _bindings({"TEAMRUN_QUEUE_URL": QUEUE_URL})
    queues = {name: each["queueName"] for name, each in bindings.items() if "queueName" in each}
    assert queues == {
        "interactive": "teamrun-interactive",
        "interactive_poison": "teamrun-interactive-poison",
        "batch": "teamrun-batch",
        "batch_poison": "teamrun-batch-poison",
        "hooks": "teamrun-hooks",
    }
    assert {each.get("connection") for each in bindings.values() if "queueName" in each} == {
        "AzureWebJobsStorage"
    }
    assert bindings["upkeep"]["schedule"] == "0 * * * * *"
    assert str(bindings["api"]["authLevel"]).endswith("ANONYMOUS")


@pytest.mark.parametrize(
    ("url", "path", "query"),
    [
        ("https://h/v1/runs/%ff?limit=1", "/v1/runs/\ufffd", b"limit=1"),
        ("https://h:99999/v1/runs?a=%ff", "/v1/runs", b"a=%ff"),
        ("https://[::1/v1/runs", "/v1/runs", b""),
        ("https://h:443/v1/runs/%C3%A9?a=b#c", "/v1/runs/é", b"a=b"),
    ],
)
async def test_every_request_reaches_the_api(
    monkeypatch: pytest.MonkeyPatch, url: str, path: str, query: bytes
) -> None:
    seen: list[Scope] = []

    async def api(_: object, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            seen.append(scope)
            await Response((await receive())["body"], 404)(scope, receive, send)
        else:
            await send({"type": "lifespan.startup.complete"})

    monkeypatch.setattr("teamrun_infra.azure.function_app._Api.__call__", api)
    app = make_function_app({"TEAMRUN_QUEUE_URL": QUEUE_URL})
    functions = {each.get_function_name(): each for each in app.get_functions()}
    act: Any = functions["api"].get_user_function()
    answer = await act(
        func.HttpRequest("POST", url, headers={"x": "1"}, body=b"in"), SimpleNamespace()
    )
    app.startup_task_done = False  # its end would start an event loop
    assert (answer.status_code, answer.get_body()) == (404, b"in")
    assert (seen[0]["method"], seen[0]["path"], seen[0]["query_string"]) == ("POST", path, query)
    assert (b"x", b"1") in seen[0]["headers"]


@pytest.mark.parametrize("url", ["", "redis://localhost", "sqs://teamrun?region=eu-central-1"])
def test_queues_elsewhere_are_refused(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        make_function_app({"TEAMRUN_QUEUE_URL": url})
    assert caught.value.data["setting"] == "queue_url"


@pytest.mark.parametrize(
    ("url", "words"),
    [("", "not set"), ("@Microsoft.KeyVault(VaultName=v;SecretName=s)", "not resolved")],
)
def test_a_queue_that_is_not_set_is_told_from_an_invalid_one(url: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        make_function_app({"TEAMRUN_QUEUE_URL": url})


def test_references_that_are_not_resolved_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEAMRUN_QUEUE_URL", QUEUE_URL)
    for name in ("TEAMRUN_API_KEYS", "OPENAI_API_KEY"):
        monkeypatch.setenv(name, "@Microsoft.KeyVault(VaultName=v;SecretName=s)")
    with pytest.raises(UsageError, match="Key Vault Secrets User") as caught:
        read_settings(CommonSettings)
    assert caught.value.data["settings"] == ["OPENAI_API_KEY", "TEAMRUN_API_KEYS"]


def test_indexing_loads_neither_the_api_nor_the_engine() -> None:
    program = (
        "import sys\n"
        "from teamrun_infra.azure.function_app import make_function_app\n"
        f"make_function_app({{'TEAMRUN_QUEUE_URL': {QUEUE_URL!r}}}).get_functions()\n"
        "sys.exit(bool({'fastapi', 'azure.storage.queue', 'obstore', 'azure.identity',"
        " 'teamrun.runs.engine.engine'} & set(sys.modules)))"
    )
    environ = {"PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", program], check=False, env=environ)
    assert done.returncode == 0


def test_the_host_reads_messages_as_they_are_written() -> None:
    host = json.loads((APP / "host.json").read_text(encoding="utf-8"))
    queues = host["extensions"]["queues"]
    assert queues["messageEncoding"] == "none"
    assert queues["maxDequeueCount"] == 5
    assert host["extensions"]["http"]["routePrefix"] == ""
    assert TimeLimit({"AzureWebJobsScriptRoot": str(APP)}).limit == timedelta(minutes=30)


@pytest.mark.parametrize(
    ("variable", "file", "limit"),
    [
        (None, None, timedelta(minutes=5)),
        (None, "{}", timedelta(minutes=5)),
        (None, '{"functionTimeout": "00:10:00"}', timedelta(minutes=10)),
        ("1.00:00:30", '{"functionTimeout": "00:10:00"}', timedelta(days=1, seconds=30)),
    ],
)
def test_the_time_limit_is_that_of_the_host(
    tmp_path: Path, variable: str | None, file: str | None, limit: timedelta
) -> None:
    if file is not None:
        (tmp_path / "host.json").write_text(file, encoding="utf-8")
    environ = {"AzureWebJobsScriptRoot": str(tmp_path)}
    if variable is not None:
        environ["AzureFunctionsJobHost__functionTimeout"] = variable
    found = TimeLimit(environ)
    assert found.limit == limit
    before = datetime.now(UTC)
    assert timedelta() < before + limit - found.deadline() <= timedelta(seconds=5)


@pytest.mark.parametrize("is_given", [True, False])
def test_the_log_says_which_time_limit_is_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, is_given: bool
) -> None:
    file = tmp_path / "host.json"
    if is_given:
        file.write_text('{"functionTimeout": "00:10:00"}', encoding="utf-8")
    with caplog.at_level(logging.INFO):
        TimeLimit({}, folder=tmp_path).log()
    [record] = caplog.records
    assert record.levelno == (logging.INFO if is_given else logging.WARNING)
    assert vars(record)["limit_s"] == (600 if is_given else 300)
    assert vars(record)["source"] == str(file)


@pytest.mark.parametrize("text", ['"-1"', '"30"', "30", '"00:00:00"'])
def test_no_time_limit_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "host.json").write_text(f'{{"functionTimeout": {text}}}', encoding="utf-8")
    with pytest.raises(UsageError, match=r"host\.json") as caught:
        TimeLimit({}, folder=tmp_path)
    assert caught.value.data["setting"] == "functionTimeout"


def test_a_broken_host_json_is_refused(tmp_path: Path) -> None:
    (tmp_path / "host.json").write_text("{", encoding="utf-8")
    with pytest.raises(UsageError, match=r"host\.json"):
        TimeLimit({}, folder=tmp_path)


class Lines(logging.Handler):
    """A handler of the platform."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(self.format(record))


@contextmanager
def only_theirs() -> Generator[Lines]:
    """The root logger with a handler of the platform, and without those of pytest."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    found = Lines()
    root.handlers[:] = [found]
    try:
        yield found
        assert root.handlers == [found]
    finally:
        root.handlers[:] = before
        root.setLevel(level)


def test_the_log_goes_through_the_handlers_of_the_platform(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TEAMRUN_QUEUE_URL", QUEUE_URL)
    monkeypatch.setenv("TEAMRUN_STORE_URL", "az://runs?account=acc")
    with only_theirs() as handler:
        read_settings(CommonSettings)
    record = logging.makeLogRecord({"msg": "Done", "action": "run.done", "levelno": logging.INFO})
    assert json.loads(handler.format(record))["action"] == "run.done"
    whole = {"module": "_http_asgi", "levelno": logging.DEBUG, "msg": "Received %s"}
    assert not handler.filter(logging.makeLogRecord(whole))
    assert handler.filter(record)


def test_a_function_without_queues_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TEAMRUN_STORE_URL", "az://runs?account=acc")
    with only_theirs(), pytest.raises(UsageError, match="azq://"):
        read_settings(CommonSettings)


async def test_an_api_without_keys_is_not_opened(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TEAMRUN_QUEUE_URL", QUEUE_URL)
    monkeypatch.setenv("TEAMRUN_STORE_URL", "az://runs?account=acc")
    with only_theirs(), pytest.raises(UsageError, match="Key Vault") as caught:
        await Serving().host.runtime()
    assert caught.value.data["setting"] == "api_keys"


@pytest.mark.parametrize(
    ("function", "environ", "mentions"),
    [
        ("timer", {"TEAMRUN_QUEUE_URL": ""}, "azq://"),
        ("timer", {"TEAMRUN_QUEUE_URL": "redis://127.0.0.1:1/0"}, "azq://"),
        ("timer", {"TEAMRUN_STORE_URL": "memory://"}, "TEAMRUN_STORE_URL"),
        ("timer", {"TEAMRUN_LEASE_SECONDS": "soon"}, "TEAMRUN_LEASE_SECONDS"),
        ("message", {"TEAMRUN_QUEUE_URL": ""}, "azq://"),
        ("delivery", {"TEAMRUN_QUEUE_URL": ""}, "azq://"),
        ("poison", {"TEAMRUN_QUEUE_URL": ""}, "azq://"),
        ("request", {}, "TEAMRUN_API_KEYS"),
    ],
)
async def test_wrong_settings_are_logged_with_their_remedy(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    function: str,
    environ: dict[str, str],
    mentions: str,
) -> None:
    file = tmp_path / "teamrun.yaml"
    file.write_text("version: 1\n", encoding="utf-8")
    given = {"TEAMRUN_QUEUE_URL": QUEUE_URL, "TEAMRUN_STORE_URL": str(tmp_path / "data")}
    for name, value in {**given, "TEAMRUN_CONFIG": str(file), **environ}.items():
        monkeypatch.setenv(name, value)
    executing, message = Executing(TimeLimit({})), func.QueueMessage(id="m", body=b"[]")
    actions: dict[str, Callable[[], Awaitable[None]]] = {
        "timer": executing.look_around,
        "message": lambda: executing.execute(message, queue=Queue.INTERACTIVE),
        "delivery": lambda: executing.deliver(message),
        "poison": lambda: executing.give_up(message, queue=Queue.BATCH),
        "request": lambda: Serving()({"type": "http"}, _nothing, _nothing),
    }
    with only_theirs() as handler, pytest.raises(UsageError):
        await actions[function]()
    [found] = [x for x in map(json.loads, handler.texts) if "misconfigured" in x.get("action", "")]
    assert found["level"] == "error"
    assert mentions in found["error"]


async def _nothing(*_: Any) -> Any:
    return {}
