import asyncio

from tests.support.api import serve, world

from teamrun.errors import DeliveryError, Unavailable
from teamrun.version import VERSION
from teamrun_api.readiness import KEEP_S, ReadinessProbe


async def _fine() -> None:
    pass


def test_the_process_is_healthy_whatever_else_is_not() -> None:
    async def down() -> None:
        raise Unavailable("storage.inner.example is gone")

    async def scenario() -> None:
        async with world(checks={"storage": down}) as w:
            answer = await w.client.get("/healthz")
            assert (answer.status_code, answer.json()) == (200, {"status": "ok"})

    serve(scenario())


def test_readiness_names_the_components_that_respond() -> None:
    async def scenario() -> None:
        async with world(checks={"storage": _fine, "redis": _fine}) as w:
            answer = await w.client.get("/readyz")
            assert answer.status_code == 200
            assert answer.json() == {
                "status": "ready",
                "checks": {"redis": "ok", "storage": "ok"},
            }

    serve(scenario())


def test_readiness_is_503_with_each_reason_and_nothing_of_the_inside() -> None:
    async def storage() -> None:
        raise Unavailable("storage.inner.example is gone")

    async def redis() -> None:
        raise DeliveryError("redis.inner.example is gone")

    async def scenario() -> None:
        async with world(checks={"storage": storage, "redis": redis, "other": _fine}) as w:
            answer = await w.client.get("/readyz")
            problem = answer.json()
            assert (answer.status_code, problem["code"]) == (503, "not_ready")
            assert [fault["code"] for fault in problem["errors"]] == ["redis", "storage"]
            assert "storage does not respond" in problem["detail"]
            assert "inner.example" not in answer.text

    serve(scenario())


def test_a_component_that_hangs_is_a_reason_too() -> None:
    async def scenario() -> None:
        async def hangs() -> None:
            await asyncio.Event().wait()

        readiness = ReadinessProbe({"storage": hangs}, patience_s=0.01)
        assert "within" in (await readiness.faults())["storage"]

    serve(scenario())


def test_components_are_asked_once_in_a_while_however_many_probes_come() -> None:
    now = 0.0
    asked = 0

    async def check() -> None:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0)

    async def scenario() -> None:
        nonlocal now
        readiness = ReadinessProbe({"storage": check}, clock=lambda: now)
        await asyncio.gather(*(readiness.faults() for _ in range(50)))
        assert asked == 1
        now += KEEP_S
        await readiness.faults()
        assert asked == 2

    serve(scenario())


def test_info_describes_the_server_and_its_limits() -> None:
    async def scenario() -> None:
        async with world() as w:
            info = (await w.client.get("/v1/info")).json()
            assert (info["name"], info["version"], info["api_versions"]) == (
                "teamrun",
                VERSION,
                ["v1"],
            )
            assert info["server"] == {
                "authentication": "none",
                "live_events": True,
                "streaming": True,
            }
            assert info["limits"] == {
                "body_bytes": 1_048_576,
                "json_depth": 64,
                "json_values": 10_000,
                "wait_seconds": 60.0,
            }

    serve(scenario())


def test_metrics_count_requests_by_route_and_runs_accepted() -> None:
    async def scenario() -> None:
        async with world() as w:
            run_id = await w.submit()
            await w.client.get(f"/v1/runs/{run_id}")
            await w.client.get("/v1/runs/run_0")
            await w.client.head(f"/v1/runs/{run_id}")
            await w.client.get("/wp-login.php")
            answer = await w.client.get("/metrics")
            lines = answer.text.splitlines()
            assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
            name = "teamrun_http_requests_total"
            for labels in (
                'method="GET",route="/v1/runs/{run_id}",status="200"',
                'method="GET",route="/v1/runs/{run_id}",status="404"',
                'method="HEAD",route="/v1/runs/{run_id}",status="200"',
                'method="GET",route="none",status="404"',
                'method="POST",route="/v1/runs",status="202"',
            ):
                assert f"{name}{{{labels}}} 1" in lines
            assert 'teamrun_runs_accepted_total{replayed="false"} 1' in lines
            assert f'teamrun_build_info{{version="{VERSION}"}} 1' in lines
            assert run_id not in answer.text and "wp-login" not in answer.text
            count = 'teamrun_http_request_duration_seconds_count{method="POST",route="/v1/runs"} 1'
            assert count in lines

    serve(scenario())
