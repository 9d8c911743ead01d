"""Webhooks over the API: the secret, and the deliveries of a run."""

import socket
from typing import Any

import pytest
from tests.support.api import serve, world

HOOK = {"url": "https://receiver.example/hook"}


def test_the_secret_is_made_once_and_rotates() -> None:
    async def scenario() -> None:
        async with world() as w:
            first = await w.client.get("/v1/webhook-secret")
            assert first.headers["cache-control"] == "no-store"
            assert (await w.client.get("/v1/webhook-secret")).json() == first.json()
            assert first.json()["secret"].startswith("whsec_")

            rotated = (await w.client.post("/v1/webhook-secret/rotate")).json()
            assert rotated["secret"] != first.json()["secret"]
            assert rotated["old_secret_until"] is not None
            at_once = await w.client.post("/v1/webhook-secret/rotate", json={"overlap_seconds": 0})
            assert (
                at_once.json()["secret"]
                == (await w.client.get("/v1/webhook-secret")).json()["secret"]
            )

    serve(scenario())


@pytest.mark.parametrize("overlap", [-1, "1", 10**9])
def test_an_overlap_that_is_no_time_is_refused(overlap: object) -> None:
    async def scenario() -> None:
        async with world() as w:
            answer = await w.client.post(
                "/v1/webhook-secret/rotate", json={"overlap_seconds": overlap}
            )
            assert answer.status_code == 422
            assert answer.json()["errors"][0]["pointer"] == "/overlap_seconds"

    serve(scenario())


def test_a_run_shows_its_webhook_and_lists_a_delivery_before_the_first_try() -> None:
    async def scenario() -> None:
        async with world() as w:
            run_id = await w.submit(webhook={**HOOK, "events": ["run.*"]})
            run = (await w.client.get(f"/v1/runs/{run_id}")).json()
            assert run["webhook"] == run["webhook"] | HOOK
            page = (await w.client.get(f"/v1/runs/{run_id}/deliveries", params={"limit": 1})).json()
            [delivery] = page["data"]
            assert delivery.pop("next_try_at") >= run["created_at"]
            assert delivery == {
                "event_id": f"{run_id}-1",
                "event_type": "run.queued",
                "webhook_id": "own",
                "status": "pending",
                "tries": [],
                "given_up_because": None,
            }
            assert (page["next_cursor"], page["has_more"]) == (None, False)

    serve(scenario())


def test_the_deliveries_of_a_batch_are_listed_and_sent_again() -> None:
    async def scenario() -> None:
        async with world() as w:
            body = {"team": "writers", "items": [{"custom_id": "a", "input": "Go"}]}
            hook = {**HOOK, "events": ["batch.*"]}
            batch = (await w.client.post("/v1/batches", json={**body, "webhook": hook})).json()
            path = f"/v1/batches/{batch['id']}/deliveries"
            [delivery] = (await w.client.get(path)).json()["data"]
            assert (delivery["event_type"], delivery["status"]) == ("batch.started", "pending")
            again = await w.client.post(f"{path}/{delivery['event_id']}/redeliver")
            assert (again.status_code, again.json()["webhook_id"]) == (202, "own")
            none = await w.client.post(f"{path}/{batch['id']}-99/redeliver")
            assert (none.status_code, none.json()["code"]) == (404, "delivery_not_found")
            for method, place in (("GET", ""), ("POST", "/bat_none-1/redeliver")):
                gone = await w.client.request(method, f"/v1/batches/bat_none/deliveries{place}")
                assert (gone.status_code, gone.json()["code"]) == (404, "batch_not_found")

    serve(scenario())


def test_an_invalid_cursor_of_deliveries_names_the_parameter() -> None:
    async def scenario() -> None:
        async with world() as w:
            run_id = await w.submit(webhook=HOOK)
            wrong = await w.client.get(f"/v1/runs/{run_id}/deliveries", params={"after": "x"})
            [fault] = wrong.json()["errors"]
            assert (wrong.status_code, fault["parameter"]) == (400, "after")
            assert fault["code"] == "invalid_cursor"

    serve(scenario())


def test_the_deliveries_of_a_run_that_does_not_exist_are_404() -> None:
    async def scenario() -> None:
        async with world() as w:
            answer = await w.client.get("/v1/runs/run_none/deliveries")
            assert (answer.status_code, answer.json()["code"]) == (404, "run_not_found")

    serve(scenario())


@pytest.mark.parametrize(
    ("webhook", "code", "pointer"),
    [
        ({"url": "http://receiver.example/"}, "destination_refused", "/webhook/url"),
        ({"url": "https://169.254.169.254/"}, "destination_refused", "/webhook/url"),
        ({"url": ""}, "invalid_body", "/webhook/url"),
        ({}, "invalid_body", "/webhook/url"),
        ({**HOOK, "events": ["run.ended"]}, "invalid_body", "/webhook/events/0"),
        ({**HOOK, "events": ["run.*", "batch.completed"]}, "invalid_body", "/webhook/events/1"),
        ({**HOOK, "events": []}, "invalid_body", "/webhook/events"),
        ({**HOOK, "format": "xml"}, "invalid_body", "/webhook/format"),
        ({**HOOK, "secret": "x"}, "invalid_body", "/webhook/secret"),
    ],
)
def test_an_invalid_webhook_is_refused_by_its_field(
    webhook: dict[str, Any], code: str, pointer: str
) -> None:
    async def scenario() -> None:
        async with world() as w:
            body = {"team": "writers", "input": "Go", "webhook": webhook}
            answer = await w.client.post("/v1/runs", json=body)
            assert answer.status_code == 422
            [fault] = answer.json()["errors"]
            assert (answer.json()["code"], fault["pointer"]) == (code, pointer)

    serve(scenario())


CREATED = {"url": "https://receiver.example/hook", "events": ["run.*"]}


def test_a_webhook_from_its_creation_to_its_end() -> None:
    async def scenario() -> None:
        async with world() as w:
            made = await w.client.post("/v1/webhooks", json=CREATED)
            assert (made.status_code, made.headers["etag"]) == (201, '"v1"')
            assert made.headers["cache-control"] == "no-store"
            place = made.headers["location"]
            shown = await w.client.get(place)
            assert shown.json() == {k: v for k, v in made.json().items() if k != "secret"}
            listed = (await w.client.get("/v1/webhooks")).json()
            assert listed["data"] == [shown.json()]

            unsure = await w.client.patch(place, json={"description": "x"})
            assert (unsure.status_code, unsure.json()["code"]) == (428, "precondition_required")
            for tag in ('"v7"', '"r1"', "x"):
                late = await w.client.patch(
                    place, json={"description": "x"}, headers={"If-Match": tag}
                )
                assert (late.status_code, late.json()["code"]) == (412, "precondition_failed")
            changed = await w.client.patch(
                place, json={"enabled": False}, headers={"If-Match": '"v1"'}
            )
            assert (changed.headers["etag"], changed.json()["enabled"]) == ('"v2"', False)
            assert (await w.client.post(f"{place}/enable")).json()["enabled"]
            rotated = (await w.client.post(f"{place}/rotate-secret")).json()
            assert rotated["secret"] != made.json()["secret"]

            assert (await w.client.delete(place)).status_code == 204
            for method, path in [
                ("GET", place),
                ("DELETE", place),
                ("POST", f"{place}/test"),
                ("POST", f"{place}/enable"),
                ("GET", f"{place}/deliveries"),
                ("POST", f"{place}/deliveries/run_1-1/redeliver"),
                ("GET", "/v1/webhooks/no.such"),
            ]:
                gone = await w.client.request(method, path)
                assert (gone.status_code, gone.json()["code"]) == (404, "webhook_not_found")

    serve(scenario())


def test_a_repeated_registration_says_so_and_has_the_same_secret() -> None:
    async def scenario() -> None:
        async with world() as w:
            key = {"Idempotency-Key": "k"}
            first = await w.client.post("/v1/webhooks", json=CREATED, headers=key)
            again = await w.client.post("/v1/webhooks", json=CREATED, headers=key)
            assert "idempotency-replayed" not in first.headers
            assert (again.status_code, again.headers["idempotency-replayed"]) == (201, "true")
            assert again.json() == first.json()

    serve(scenario())


def test_a_test_of_a_host_that_is_not_allowed_is_an_outcome(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    look_up = socket.getaddrinfo

    def inside(host: str, port: int, **_: object) -> object:
        return look_up("127.0.0.1", port)

    monkeypatch.setattr(socket, "getaddrinfo", inside)

    async def scenario() -> None:
        async with world() as w:
            local = {**CREATED, "url": "https://inside.example/"}  # its address is only known later
            made = await w.client.post("/v1/webhooks", json=local)
            path = f"{made.headers['location']}/test"
            tested = (await w.client.post(path, json={"type": "run.failed"})).json()
            assert (tested["is_accepted"], tested["request"]["type"]) == (False, "run.failed")
            assert tested["request"]["error"] == "destination_refused"
            assert "TEAMRUN_ALLOWED_HOSTS='[\"inside.example:443\"]'" in tested["detail"]
            wrong = await w.client.post(path, json={"type": "run.unknown"})
            assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (422, "/type")

    serve(scenario())


def test_deliveries_and_redelivery_over_the_api() -> None:
    async def scenario() -> None:
        async with world() as w:
            place = (await w.client.post("/v1/webhooks", json=CREATED)).headers["location"]
            run_id = await w.submit()
            again = await w.client.post(f"{place}/deliveries/{run_id}-1/redeliver")
            assert (again.status_code, again.json()["status"]) == (202, "pending")
            none = await w.client.post(f"{place}/deliveries/{run_id}-99/redeliver")
            assert (none.status_code, none.json()["code"]) == (404, "delivery_not_found")
            own = await w.client.post(f"/v1/runs/{run_id}/deliveries/{run_id}-1/redeliver")
            assert (own.status_code, own.json()["code"]) == (404, "delivery_not_found")
            since = await w.client.post(
                f"{place}/redeliver", json={"since": "2026-01-01T00:00:00Z"}
            )
            assert (since.status_code, since.json()["redelivered"]) == (202, 1)
            wrong = await w.client.get(f"{place}/deliveries", params={"after": "x"})
            assert (wrong.status_code, wrong.json()["code"]) == (400, "invalid_parameter")
            types = (await w.client.get("/v1/webhook-event-types")).json()["data"]
            assert "run.input_required" in [each["type"] for each in types]

    serve(scenario())


@pytest.mark.parametrize(
    ("fields", "code", "pointer"),
    [
        ({"url": "https://10.0.0.1/"}, "destination_refused", "/url"),
        ({"events": None}, "invalid_body", "/events"),
        ({"events": ["nothing"]}, "invalid_body", "/events/0"),
        ({"secret": "whsec_x"}, "invalid_body", "/secret"),
        ({"metadata": {"a": 1}}, "invalid_body", "/metadata/a"),
    ],
)
def test_an_invalid_registration_is_refused_by_its_field(
    fields: dict[str, Any], code: str, pointer: str
) -> None:
    async def scenario() -> None:
        async with world() as w:
            answer = await w.client.post("/v1/webhooks", json=CREATED | fields)
            assert answer.status_code == 422
            assert answer.json()["code"] == code
            assert answer.json()["errors"][0]["pointer"] == pointer

    serve(scenario())
