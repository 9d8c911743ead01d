import asyncio
import time
from typing import Any

import pytest
from tests.support.api import Exchange, World, serve, world

from teamrun.runs.log.output import RunResult


def test_a_run_that_has_not_changed_is_304_without_a_body() -> None:
    async def scenario() -> None:
        async with world() as w:
            run_id = await w.submit()
            first = await w.client.get(f"/v1/runs/{run_id}")
            tag = first.headers["etag"]
            same = await w.client.get(f"/v1/runs/{run_id}", headers={"If-None-Match": tag})
            assert (same.status_code, same.content) == (304, b"")
            assert same.headers["etag"] == tag
            await w.execute()
            other = await w.client.get(f"/v1/runs/{run_id}", headers={"If-None-Match": tag})
            assert (other.status_code, other.json()["status"]) == (200, "completed")
            assert other.headers["etag"] != tag

    serve(scenario())


def test_a_long_poll_answers_when_the_revision_changes() -> None:
    async def scenario() -> None:
        async with world(latency_s=60) as w:
            run_id = await w.submit()
            tag = (await w.client.get(f"/v1/runs/{run_id}")).headers["etag"]
            headers = {"If-None-Match": tag, "Prefer": "wait=30"}
            poll = asyncio.create_task(w.client.get(f"/v1/runs/{run_id}", headers=headers))
            for _ in range(20):
                await asyncio.sleep(0)
            assert not poll.done()

            executing = asyncio.create_task(w.execute())

            answer = await poll
            assert (answer.status_code, answer.json()["status"]) == (200, "running")
            assert answer.headers["preference-applied"] == "wait=30"
            await w.client.post(f"/v1/runs/{run_id}/cancel")
            await executing

    serve(scenario())


def test_a_long_poll_whose_time_runs_out_is_304() -> None:
    async def scenario() -> None:
        async with world(wait_limit_seconds=0.01) as w:
            run_id = await w.submit()
            headers = {"If-None-Match": '"r1"', "Prefer": "wait=30"}
            answer = await w.client.get(f"/v1/runs/{run_id}", headers=headers)
            assert (answer.status_code, answer.headers["preference-applied"]) == (304, "wait=0")

    serve(scenario())


def test_a_poll_with_another_tag_answers_at_once() -> None:
    async def scenario() -> None:
        async with world() as w:
            run_id = await w.submit()
            headers = {"If-None-Match": '"r9"', "Prefer": "wait=60"}
            answer = await w.client.get(f"/v1/runs/{run_id}", headers=headers)
            assert answer.status_code == 200

    serve(scenario())


def test_a_wait_without_a_tag_is_for_the_end() -> None:
    async def scenario() -> None:
        async with world() as w:
            run_id = await w.submit()
            poll = asyncio.create_task(w.client.get(f"/v1/runs/{run_id}", params={"wait": 30}))
            await asyncio.sleep(0)
            await w.execute()
            assert (await poll).json()["status"] == "completed"

    serve(scenario())


def test_a_held_answer_is_given_when_the_server_begins_to_stop() -> None:
    async def scenario() -> None:
        async with world() as w:
            run_id = await w.submit()
            exchange = Exchange(w.app, f"/v1/runs/{run_id}", query="wait=60")
            await asyncio.sleep(0)
            w.app.state.api.closing.set()
            assert await exchange.start() == 200

    serve(scenario())


UNKNOWN = ["run_0", "..", "a.b", "x" * 65, "%00", "run_01 "]


@pytest.mark.parametrize("run_id", UNKNOWN)
@pytest.mark.parametrize("path", ["", "/events", "/result", "/artifacts", "/artifacts/a"])
def test_a_run_that_does_not_exist_is_404(run_id: str, path: str) -> None:
    async def scenario() -> None:
        async with world() as w:
            exchange = Exchange(w.app, f"/v1/runs/{run_id}{path}")
            assert await exchange.start() == 404
            await exchange.rest()

    serve(scenario())


def test_a_stream_of_a_run_that_does_not_exist_is_404() -> None:
    async def scenario() -> None:
        async with world() as w:
            headers = {"Accept": "text/event-stream"}
            answer = await w.client.get("/v1/runs/run_0/events", headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (404, "run_not_found")

    serve(scenario())


def test_the_result_before_the_end_is_409_with_when_to_ask_again() -> None:
    async def scenario() -> None:
        async with world() as w:
            run_id = await w.submit()
            answer = await w.client.get(f"/v1/runs/{run_id}/result")
            problem = answer.json()
            assert (answer.status_code, problem["code"]) == (409, "run_not_finished")
            assert (problem["run_id"], answer.headers["retry-after"]) == (run_id, "1")

    serve(scenario())


def test_the_result_can_be_waited_for() -> None:
    async def scenario() -> None:
        async with world() as w:
            run_id = await w.submit()
            asked = w.client.get(f"/v1/runs/{run_id}/result", headers={"Prefer": "wait=30"})
            waiting = asyncio.create_task(asked)
            await asyncio.sleep(0)
            await w.execute()
            answer = await waiting
            assert answer.headers["preference-applied"] == "wait=30"
            result = RunResult.model_validate_json(answer.content)
            assert result == await w.service.result("default", run_id)
            assert [message["type"] for message in result.messages][:1] == ["TextMessage"]

    serve(scenario())


def test_a_queued_run_is_cancelled_at_once_and_again_without_a_change() -> None:
    async def scenario() -> None:
        async with world() as w:
            run_id = await w.submit()
            first = await w.client.post(f"/v1/runs/{run_id}/cancel", json={"reason": "enough"})
            again = await w.client.post(f"/v1/runs/{run_id}/cancel")
            assert (first.status_code, again.status_code) == (200, 200)
            assert (first.json()["status"], first.json()["stop_reason"]) == ("cancelled", "enough")
            assert again.json()["revision"] == first.json()["revision"]

    serve(scenario())


def test_a_run_at_work_is_cancelled_by_its_owner_and_asking_again_is_202() -> None:
    async def scenario() -> None:
        async with world(latency_s=60) as w:
            run_id = await w.submit()
            executing = asyncio.create_task(w.execute())
            running = await w.client.get(
                f"/v1/runs/{run_id}", headers={"If-None-Match": '"r1"', "Prefer": "wait=30"}
            )
            assert running.json()["status"] == "running"
            exchanges = [
                Exchange(w.app, f"/v1/runs/{run_id}/cancel", method="POST") for _ in range(2)
            ]
            for exchange in exchanges:
                assert await exchange.start() == 202
                assert exchange.headers["retry-after"] == "1"
                assert b'"status":"cancelling"' in await exchange.rest()
            await executing
            again = await w.client.post(f"/v1/runs/{run_id}/cancel")
            assert (again.status_code, again.json()["status"]) == (200, "cancelled")

    serve(scenario())


def test_a_run_that_has_ended_otherwise_cannot_be_cancelled() -> None:
    async def scenario() -> None:
        async with world() as w:
            run_id = await w.ended()
            answer = await w.client.post(f"/v1/runs/{run_id}/cancel")
            problem = answer.json()
            assert (answer.status_code, problem["code"]) == (409, "run_ended")
            assert problem["run_id"] == run_id

    serve(scenario())


@pytest.mark.parametrize(
    ("body", "pointer"),
    [({"mode": "gently"}, "/mode"), ({"reason": "x" * 513}, "/reason"), ({"why": "x"}, "/why")],
)
def test_an_invalid_cancel_is_422(body: dict[str, Any], pointer: str) -> None:
    async def scenario() -> None:
        async with world() as w:
            run_id = await w.submit()
            answer = await w.client.post(f"/v1/runs/{run_id}/cancel", json=body)
            assert answer.status_code == 422
            assert [fault["pointer"] for fault in answer.json()["errors"]] == [pointer]

    serve(scenario())


def test_a_list_is_read_page_by_page_newest_first() -> None:
    async def scenario() -> None:
        async with world() as w:
            ids = [await w.submit(input=str(n)) for n in range(5)]
            seen: list[str] = []
            times: list[str] = []
            cursor: str | None = None
            while True:
                params = {"limit": "2", **({"after": cursor} if cursor else {})}
                page = (await w.client.get("/v1/runs", params=params)).json()
                assert len(page["data"]) <= 2
                seen += [run["id"] for run in page["data"]]
                times += [
                    run["created_at"][: len("2026-01-01T00:00:00.000")] for run in page["data"]
                ]
                cursor = page["next_cursor"]
                if not page["has_more"]:
                    break
            assert sorted(seen) == sorted(ids)
            assert times == sorted(times, reverse=True)

    serve(scenario())


def test_a_list_is_filtered_by_status_team_tag_and_metadata() -> None:
    async def scenario() -> None:
        async with world() as w:
            done = await w.ended(tags=["a"], metadata={"customer": "1", "x[y": "z"})
            waiting = await w.submit(tags=["b"], metadata={"customer": "2"})

            async def found(**params: str) -> list[str]:
                page = await w.client.get("/v1/runs", params=params)
                assert page.status_code == 200, page.text
                return [run["id"] for run in page.json()["data"]]

            assert await found(status="completed") == [done]
            assert await found(status="queued") == [waiting]
            assert await found(tag="a") == [done]
            assert await found(**{"metadata[customer]": "2"}) == [waiting]
            assert await found(**{"metadata[x[y]": "z"}) == [done]
            assert await found(**{"metadata[customer]": "1"}, tag="b") == []
            assert sorted(await found(team="writers")) == sorted([done, waiting])
            assert await found(team="nobody") == []

    serve(scenario())


BAD_QUERIES = [
    ("limit=0", "limit"),
    ("limit=101", "limit"),
    ("limit=many", "limit"),
    ("status=done", "status"),
    ("stauts=queued", "stauts"),
    ("metadata=1", "metadata"),
    ("tag=" + "t" * 65, "tag"),
    ("&".join(f"metadata[k{n}]=v" for n in range(17)), "metadata"),
    ("metadata[k]=" + "v" * 513, "metadata"),
]


@pytest.mark.parametrize(("query", "name"), BAD_QUERIES, ids=[q[:20] for q, _ in BAD_QUERIES])
def test_an_invalid_parameter_is_400_and_named(query: str, name: str) -> None:
    async def scenario() -> None:
        async with world() as w:
            answer = await w.client.get(f"/v1/runs?{query}")
            assert (answer.status_code, answer.json()["code"]) == (400, "invalid_parameter")
            assert [fault["parameter"] for fault in answer.json()["errors"]] == [name]

    serve(scenario())


def test_a_misspelt_parameter_is_answered_with_the_one_that_was_meant() -> None:
    async def scenario() -> None:
        async with world() as w:
            answer = await w.client.get("/v1/runs?stauts=queued")
            assert "Did you mean 'status'?" in answer.json()["detail"]

    serve(scenario())


def test_a_cursor_that_is_none_is_400() -> None:
    async def scenario() -> None:
        async with world() as w:
            answer = await w.client.get("/v1/runs?after=../../x")
            (fault,) = answer.json()["errors"]
            assert answer.status_code == 400
            assert (fault["parameter"], fault["code"]) == ("after", "invalid_cursor")

    serve(scenario())


async def _listed(w: World, **params: str) -> list[str]:
    """The inputs of all runs of a list, page by page."""
    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        answer = await w.client.get("/v1/runs", params={"limit": "2", **params, **cursor})
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found += [run["input"] for run in page["data"]]
        if not page["has_more"]:
            return found
        cursor = {"after": page["next_cursor"]}


async def _spread(w: World, count: int) -> list[dict[str, Any]]:
    """Runs that were created in different milliseconds, the oldest first."""
    runs: list[dict[str, Any]] = []
    while len(runs) < count:
        answer = await w.client.post("/v1/runs", json={"team": "writers", "input": str(len(runs))})
        runs.append(answer.json())
        last = time.time_ns() // 1_000_000
        while time.time_ns() // 1_000_000 == last:
            pass
    return runs


def test_a_list_is_read_in_both_orders_and_within_a_range_of_time() -> None:
    async def scenario() -> None:
        async with world() as w:
            runs = await _spread(w, 5)
            times = [run["created_at"] for run in runs]
            assert await _listed(w) == await _listed(w, order="desc") == ["4", "3", "2", "1", "0"]
            assert await _listed(w, order="asc") == ["0", "1", "2", "3", "4"]
            for order, step in (("asc", 1), ("desc", -1)):
                assert (
                    await _listed(w, order=order, created_after=times[1]) == ["2", "3", "4"][::step]
                )
                assert (
                    await _listed(w, order=order, created_before=times[3])
                    == ["0", "1", "2"][::step]
                )
                both = {"created_after": times[0], "created_before": times[4]}
                assert await _listed(w, order=order, **both) == ["1", "2", "3"][::step]
            assert await _listed(w, created_after=times[4]) == []
            assert await _listed(w, order="asc", created_before=times[0], status="queued") == []

    serve(scenario())


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("order=newest", "order"),
        ("created_after=yesterday", "created_after"),
        ("created_after=1700000000", "created_after"),
        ("created_before=2026-01-01T00:00:00", "created_before"),
    ],
)
def test_an_order_or_time_that_cannot_be_read_is_400(query: str, name: str) -> None:
    async def scenario() -> None:
        async with world() as w:
            answer = await w.client.get(f"/v1/runs?{query}")
            assert (answer.status_code, answer.json()["code"]) == (400, "invalid_parameter")
            assert [fault["parameter"] for fault in answer.json()["errors"]] == [name]

    serve(scenario())


def test_a_run_names_its_team_and_version_and_when_it_was_queued() -> None:
    async def scenario() -> None:
        async with world() as w:
            [summary] = (await w.client.get("/v1/teams")).json()["data"]
            body = {"team": "writers@latest", "input": "Go"}
            run = (await w.client.post("/v1/runs", json=body)).json()
            assert run["team"] == {key: summary[key] for key in ("id", "name", "version", "digest")}
            assert run["queued_at"] == run["created_at"]

            changed = (
                await w.client.post("/v1/runs", json={**body, "overrides": {"max_turns": 1}})
            ).json()["team"]
            assert changed["digest"] != summary["digest"]
            assert (changed["id"], changed["version"]) == (summary["id"], summary["version"])

            spec = {"type": "round_robin_group_chat", "max_turns": 1}
            agent = {"type": "assistant_agent", "name": "a", "model": "default"}
            inline = {"team_spec": {**spec, "participants": [agent]}, "input": "Go"}
            own = (await w.client.post("/v1/runs", json=inline)).json()["team"]
            assert own["id"] is None
            assert own["digest"].startswith(own["version"])

            later = {**body, "delay_seconds": 3600}
            scheduled = (await w.client.post("/v1/runs", json=later)).json()
            assert (scheduled["status"], scheduled["queued_at"]) == ("scheduled", None)

    serve(scenario())


def test_a_graceful_cancel_of_a_run_at_work_is_202_and_now_ends_it() -> None:
    async def scenario() -> None:
        async with world(latency_s=60) as w:
            run_id = await w.submit()
            executing = asyncio.create_task(w.execute())
            await w.client.get(
                f"/v1/runs/{run_id}", headers={"If-None-Match": '"r1"', "Prefer": "wait=30"}
            )
            url = f"/v1/runs/{run_id}/cancel"
            gentle = await w.client.post(url, json={"mode": "graceful", "reason": "later"})
            assert (gentle.status_code, gentle.json()["status"]) == (202, "cancelling")
            await w.client.post(url, json={"mode": "now"})
            await executing
            run = (await w.client.get(f"/v1/runs/{run_id}")).json()
            assert (run["status"], run["stop_reason"]) == ("cancelled", "later")

    serve(scenario())
