"""`DELETE /v1/runs/{run_id}`."""

from tests.support.api import serve, world


def test_a_run_that_has_ended_is_deleted_and_not_found_anywhere() -> None:
    async def scenario() -> None:
        async with world() as api:
            run_id, other = await api.ended(), await api.ended()
            answer = await api.client.delete(f"/v1/runs/{run_id}")
            assert (answer.status_code, answer.content) == (204, b"")
            path = f"/v1/runs/{run_id}"
            for each in (path, f"{path}/events", f"{path}/result", f"{path}/artifacts"):
                answer = await api.client.get(each)
                assert (answer.status_code, answer.json()["code"]) == (404, "run_not_found")
            assert (await api.client.delete(path)).status_code == 404
            page = (await api.client.get("/v1/runs")).json()
            assert [run["id"] for run in page["data"]] == [other]

    serve(scenario())


def test_a_run_that_continues_is_not_deleted() -> None:
    async def scenario() -> None:
        async with world() as api:
            run_id = await api.submit()
            answer = await api.client.delete(f"/v1/runs/{run_id}")
            assert (answer.status_code, answer.json()["code"]) == (409, "run_not_finished")
            assert (await api.client.get(f"/v1/runs/{run_id}")).status_code == 200

    serve(scenario())


def test_the_key_of_a_deleted_run_answers_410_and_begins_no_other_run() -> None:
    async def scenario() -> None:
        async with world() as api:
            body = {"team": "writers", "input": "Go"}
            headers = {"Idempotency-Key": "once"}
            first = await api.client.post("/v1/runs", json=body, headers=headers)
            await api.execute()
            await api.client.delete(f"/v1/runs/{first.json()['id']}")
            answer = await api.client.post("/v1/runs", json=body, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (410, "run_deleted")
            assert answer.json()["run_id"] == first.json()["id"]
            assert (await api.client.get("/v1/runs")).json()["data"] == []

    serve(scenario())


def test_an_id_that_could_leave_the_folder_of_runs_deletes_nothing() -> None:
    async def scenario() -> None:
        async with world() as api:
            kept = await api.ended()
            for wrong in ("..", "%2e%2e", "%2E%2E%2F" + kept, "a.b", "*", kept + "%00"):
                answer = await api.client.delete(f"/v1/runs/{wrong}")
                assert answer.status_code in (400, 404, 405), wrong
            assert (await api.client.get(f"/v1/runs/{kept}")).status_code == 200

    serve(scenario())
