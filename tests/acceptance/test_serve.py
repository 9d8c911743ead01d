"""`teamrun serve` as a subprocess, stopped in every way there is."""

import asyncio
import json
import os
import signal
import socket
import sys
from functools import partial
from pathlib import Path

import pytest
from tests.support.loading_redis import LoadingRedis
from tests.support.service import Served, Timeline, example, free_port, serving, until
from tests.support.services import Valkey, valkey

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.timeout(180),
    pytest.mark.skipif(sys.platform != "linux", reason="looks at processes through /proc"),
]

QUESTION = {"team": "analysts", "input": "Which region sold most?"}
SHORT_LEASE = {"TEAMRUN_LEASE_SECONDS": "1"}


def nothing_is_left_of(served: Served) -> None:
    until(lambda: not served.processes, f"all is gone: {served.processes}")


def run_to_end(served: Served) -> tuple[str, Timeline]:
    run_id = served.post("/v1/runs", QUESTION)["id"]
    seen = Timeline()
    for _ in served.follow(run_id, seen):
        pass
    assert seen.ended
    return run_id, seen


def test_a_run_over_http_is_seen_alike_everywhere_and_ctrl_c_leaves_nothing(
    tmp_path: Path,
) -> None:
    config = example(tmp_path / "example", latency_ms=0)
    environ = {"TEAMRUN_ARCHIVE_EVENTS": "true"}
    with serving(tmp_path / "data", config=config, environ=environ) as served:
        run_id, seen = run_to_end(served)
        run = served.get(f"/v1/runs/{run_id}")
        result = served.get(f"/v1/runs/{run_id}/result")
        (folder,) = (tmp_path / "data/store/t/default/runs").glob(f"*/{run_id}")
        lines = (folder / "events.jsonl").read_text(encoding="utf-8").splitlines()
        kept = json.loads((folder / "result.json").read_text(encoding="utf-8"))

        assert run["status"] == result["status"] == "completed"
        assert [json.loads(line) for line in lines] == seen.events
        assert [event["seq"] for event in seen.events] == list(range(1, len(lines) + 1))
        assert kept == result
        assert any(file["name"].endswith(".svg") for file in result["artifacts"])
        assert served.stop(signal.SIGINT) == 0
        nothing_is_left_of(served)


def test_kill_9_of_the_supervisor_leaves_nothing(tmp_path: Path) -> None:
    config = example(tmp_path / "example")
    with serving(tmp_path / "data", config=config) as served:
        assert len(served.processes) == 5  # with API, worker, Valkey and its keeper

        served.process.kill()

        nothing_is_left_of(served)


def test_a_start_after_a_kill_finds_the_earlier_runs(tmp_path: Path) -> None:
    config = example(tmp_path / "example", latency_ms=0)
    with serving(tmp_path / "data", config=config) as served:
        run_id, seen = run_to_end(served)
        served.process.kill()
        served.process.wait(10)

        with serving(tmp_path / "data", config=config) as later:
            again = Timeline()
            assert [run["id"] for run in later.get("/v1/runs")["data"]] == [run_id]
            assert list(later.follow(run_id, again)) == seen.events


def test_a_second_serve_on_the_folder_is_refused_and_names_the_pid(tmp_path: Path) -> None:
    config = example(tmp_path / "example")
    with (
        serving(tmp_path / "data", config=config) as first,
        serving(tmp_path / "data", config=config, ready=False) as second,
    ):
        _, words = second.process.communicate(timeout=60)

        assert second.process.returncode == 2
        assert f"pid {first.process.pid}" in words
        assert first.get("/healthz") == {"status": "ok"}


@pytest.mark.parametrize(
    "part", ["serving.child teamrun_api", "serving.child teamrun_worker", "serving.embedded"]
)
def test_a_part_that_is_killed_is_started_again(tmp_path: Path, part: str) -> None:
    config = example(tmp_path / "example", latency_ms=0)
    # A message that is lost with a killed process is sent again when the lease has expired.
    with serving(tmp_path / "data", config=config, environ=SHORT_LEASE) as served:
        killed = served.pid_of(part)
        os.kill(killed, signal.SIGKILL)

        until(lambda: starts_again(served, part, killed), f"{part} lives again")
        until(lambda: is_ready(served), "the service is ready again")
        run_to_end(served)
        assert served.stop() == 0
        nothing_is_left_of(served)


def starts_again(served: Served, part: str, killed: int) -> bool:
    pids = [pid for pid, command in served.processes.items() if part in command]
    return len(pids) == 1 and pids != [killed]


def is_ready(served: Served) -> bool:
    try:
        return served.get("/readyz")["status"] == "ready"
    except OSError:
        return False


@pytest.mark.behaviour("pattern.production")
def test_a_worker_killed_in_mid_run_is_replaced_and_the_run_continues_where_it_was(
    tmp_path: Path,
) -> None:
    config = example(tmp_path / "example", latency_ms=400)
    with serving(tmp_path / "data", config=config, environ=SHORT_LEASE) as served:
        run_id = served.post("/v1/runs", QUESTION)["id"]
        seen = Timeline()
        for event in served.follow(run_id, seen):
            if event["type"] == "tool.call.completed" and seen.types.count(event["type"]) == 3:
                os.kill(served.pid_of("serving.child teamrun_worker"), signal.SIGKILL)
                break
        for _ in served.follow(run_id, seen):
            pass

        assert served.get(f"/v1/runs/{run_id}")["status"] == "completed"
        assert served.get(f"/v1/runs/{run_id}")["epoch"] == 2
        assert [event["seq"] for event in seen.events] == list(range(1, len(seen.events) + 1))
        calls = [event["data"]["call_id"] for event in seen.events if is_completed(event["type"])]
        assert len(calls) == len(set(calls)) == 18
        assert seen.types[-1] == "run.completed"


def is_completed(event_type: str) -> bool:
    return event_type in {"model.call.completed", "tool.call.completed"}


def test_a_given_redis_is_used_in_place_of_the_embedded_one(tmp_path: Path) -> None:
    config = example(tmp_path / "example", latency_ms=0)
    with (
        valkey() as server,
        serving(
            tmp_path / "data", config=config, environ={"TEAMRUN_REDIS_URL": server.url}
        ) as served,
    ):
        assert not any("embedded" in command for command in served.processes.values())
        run_to_end(served)
        assert served.stop(signal.SIGTERM) == 0
        nothing_is_left_of(served)


def test_serve_waits_for_a_given_redis_that_loads_its_data(tmp_path: Path) -> None:
    config = example(tmp_path / "example", latency_ms=0)

    async def go(server: Valkey) -> None:
        async with LoadingRedis(server) as loading:
            environ = {"TEAMRUN_REDIS_URL": loading.url}
            port = free_port()
            with serving(
                tmp_path / "data", config=config, environ=environ, ready=False, port=port
            ) as served:
                served.url = f"http://127.0.0.1:{port}"
                assert served.process.stdout is not None
                until_refused = partial(until, lambda: loading.refused >= 5, "Redis was asked")
                await asyncio.to_thread(until_refused)
                assert served.process.poll() is None
                loading.loaded()
                said = await asyncio.to_thread(served.process.stdout.readline)
                assert said.strip() == served.url
                await asyncio.to_thread(run_to_end, served)
                assert await asyncio.to_thread(served.stop, signal.SIGTERM) == 0
                nothing_is_left_of(served)

    with valkey() as server:
        asyncio.run(go(server))


def test_invalid_settings_end_it_with_2_and_a_reason(tmp_path: Path) -> None:
    config = tmp_path / "teamrun.yaml"
    config.write_text("version: 1\nteems: {}\n", encoding="utf-8")
    with serving(tmp_path / "data", config=config, ready=False) as served:
        _, words = served.process.communicate(timeout=60)

        assert served.process.returncode == 2
        assert "teems" in words
        nothing_is_left_of(served)


FAULTY = """\
models: {m: {type: scripted, script: [x]}}
tools:
  gone: {function: "absent_module:f"}
  noisy: {function: "noisy_module:f"}
agents:
  a: {model: m, tools: [gone]}
FORM
teams:
  t: {type: round_robin_group_chat, agents: [a], max_turns: 1}
"""
IMPORTS = ["teamrun.yaml:3: /tools/gone/function", "teamrun.yaml:4: /tools/noisy/function"]


@pytest.mark.parametrize(
    ("form", "places"),
    [("", IMPORTS), ("  b: {modle: m}", [*IMPORTS, "teamrun.yaml:7: /agents/b/modle"])],
    ids=["imports", "form and imports"],
)
def test_all_faults_of_the_file_are_plain_lines_before_anything_is_started(
    form: str, places: list[str], tmp_path: Path
) -> None:
    config = tmp_path / "teamrun.yaml"
    config.write_text(FAULTY.replace("FORM", form), encoding="utf-8")
    noisy = "print('{}')\nimport sys\nsys.exit('not here')\n"
    (tmp_path / "noisy_module.py").write_text(noisy, encoding="utf-8")
    with serving(tmp_path / "data", config=config, ready=False) as served:
        said, words = served.process.communicate(timeout=60)

        assert (served.process.returncode, said) == (2, "")
        assert [place for place in places if place not in words] == []
        assert "misconfigured" not in words
        assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("ending", "status"), [("os._exit(7)", "7"), ("os.kill(os.getpid(), 9)", "-9")]
)
def test_a_tool_whose_import_ends_the_process_is_refused(
    ending: str, status: str, tmp_path: Path
) -> None:
    config = tmp_path / "teamrun.yaml"
    config.write_text('tools: {t: {function: "ending_module:f"}}\n', encoding="utf-8")
    (tmp_path / "ending_module.py").write_text(f"import os\n{ending}\n", encoding="utf-8")
    with serving(tmp_path / "data", config=config, ready=False) as served:
        _, words = served.process.communicate(timeout=60)

        assert served.process.returncode == 2
        assert f"status {status}" in words


def test_a_port_in_use_ends_it_with_2_and_a_remedy(tmp_path: Path) -> None:
    config = example(tmp_path / "example")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with serving(tmp_path / "data", config=config, ready=False, port=port) as served:
            _, words = served.process.communicate(timeout=60)

            assert served.process.returncode == 2
            assert f"Port {port} is already in use" in words
            assert "--port" in words
            nothing_is_left_of(served)


@pytest.mark.parametrize("host", ["203.0.113.7", "no-such-host.invalid"])
def test_an_address_of_another_machine_ends_it_with_2_and_a_remedy(
    host: str, tmp_path: Path
) -> None:
    environ = {"TEAMRUN_HOST": host, "TEAMRUN_ALLOW_SCRIPTED": "true"}
    config = example(tmp_path / "example")
    with serving(tmp_path / "data", config=config, environ=environ, ready=False) as served:
        _, words = served.process.communicate(timeout=60)

        assert served.process.returncode == 2
        assert "--host" in words
        nothing_is_left_of(served)
