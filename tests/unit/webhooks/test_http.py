"""Deliveries over HTTP, to a receiver that knows only the public library."""

from datetime import timedelta

import pytest
from tests.support.receiver import Received, Receiver, Reply, receiving
from tests.support.runs import TENANT
from tests.support.webhooks import Office

from teamrun.core.clock import SystemClock
from teamrun.net.client import GuardedClient
from teamrun.net.destinations import Destinations
from teamrun.webhooks.request import MOST_BYTES
from teamrun.webhooks.sender import GuardedSender

CLOCK = SystemClock()


def office_for(receiver: Receiver, script: list[str] | None = None) -> Office:
    allowed = Destinations([f"127.0.0.1:{receiver.port}"])
    sender = GuardedSender(allowed, clock=CLOCK, timeout=timedelta(seconds=2))
    return Office(script, sender=sender, destinations=allowed)


async def delivered(*replies: Reply, **webhook: object) -> tuple[Office, Receiver, str, str]:
    """A run whose end was sent to a receiver: its outcome, and the tenant's secret."""
    with receiving(*replies) as receiver:
        office = office_for(receiver)
        ref = await office.ended(url=f"{receiver.url}/hook", **webhook)
        [outcome] = set((await office.outcomes(ref)).values())
        secret = (await office.service.secret(TENANT)).secret
        await office.parts.shutdown(timedelta())
    return office, receiver, outcome, secret


async def test_the_public_library_accepts_every_delivery_and_no_changed_one() -> None:
    _, receiver, outcome, secret = await delivered(events=["*"], metadata={"order": "4711"})

    assert outcome == "delivered"
    assert receiver.types == ["run.queued", "run.started", "run.completed"]
    for request in receiver.received:
        assert request.is_genuine(secret)
        assert request.event["metadata"] == {"order": "4711"}
        assert request.event["timestamp"] == request.event["time"]
        assert request.id == request.event["id"]
        for place in range(len(request.body)):
            changed = bytearray(request.body)
            changed[place] ^= 1
            assert not Received(request.path, request.headers, bytes(changed)).is_genuine(secret)


@pytest.mark.parametrize(
    "reply",
    [
        Reply(301, {"Location": "/elsewhere"}),
        Reply(307, {"Location": "http://127.0.0.1:1/"}),
        Reply(400),
        Reply(500),
        Reply(304),
    ],
)
async def test_only_2xx_is_success_and_redirects_are_not_followed(reply: Reply) -> None:
    _, receiver, outcome, _ = await delivered(reply)
    assert outcome == "pending"
    assert [request.path for request in receiver.received] == ["/hook"]


async def test_an_answer_of_10_mb_is_not_read_to_its_end() -> None:
    _, _, outcome, _ = await delivered(Reply(200, size=10_000_000))
    assert outcome == "delivered"


async def test_a_receiver_that_does_not_answer_in_time_is_tried_again() -> None:
    office, receiver, outcome, _ = await delivered(Reply(waits=True))
    assert outcome == "pending"
    assert len(receiver.received) == 1
    assert len(await office.markers()) == 1


async def test_retry_after_of_an_answer_is_kept() -> None:
    with receiving(Reply(429, {"Retry-After": "120"})) as receiver:
        office = office_for(receiver)
        ref = await office.ended(url=receiver.url)
        [delivery] = (await office.service.deliveries_of_run(TENANT, ref.run_id)).data
        await office.parts.shutdown(timedelta())
    [made] = delivery.tries
    assert made.status == 429
    assert made.next_at is not None
    assert timedelta(seconds=119) <= made.next_at - made.at <= timedelta(seconds=125)


async def test_a_receiver_that_is_not_there_is_an_outcome() -> None:
    with receiving() as receiver:
        office = office_for(receiver)
        url = receiver.url
    ref = await office.ended(url=url)
    [delivery] = (await office.service.deliveries_of_run(TENANT, ref.run_id)).data
    assert [made.error for made in delivery.tries] == ["connection_failed"]
    await office.parts.shutdown(timedelta())


@pytest.mark.parametrize("error", [UnicodeError("label too long"), OSError("no such name")])
async def test_a_name_that_cannot_be_looked_up_is_an_outcome(error: Exception) -> None:
    async def resolve(host: str, port: int) -> list[str]:
        raise error

    def client(destinations: Destinations) -> GuardedClient:
        return GuardedClient(destinations, resolve=resolve)

    office = Office(sender=GuardedSender(Destinations(), clock=CLOCK, client=client))
    ref = await office.ended()
    [delivery] = (await office.service.deliveries_of_run(TENANT, ref.run_id)).data
    assert [made.error for made in delivery.tries] == ["connection_failed"]
    await office.parts.shutdown(timedelta())


async def test_a_destination_that_is_no_longer_allowed_ends_the_delivery() -> None:
    with receiving() as receiver:
        office = office_for(receiver)
        strict = GuardedSender(Destinations(), clock=CLOCK)
        office = Office(sender=strict, destinations=office.destinations)
        ref = await office.ended(url=receiver.url)
        await strict.close()
    [delivery] = (await office.service.deliveries_of_run(TENANT, ref.run_id)).data
    assert [made.error for made in delivery.tries] == ["destination_refused"]
    assert (delivery.status, delivery.next_try_at) == ("failed", None)
    assert receiver.received == []


async def test_a_thin_event_has_no_data() -> None:
    _, receiver, _, secret = await delivered(payload="thin")
    [request] = receiver.received
    assert request.is_genuine(secret)
    assert request.event["data"] == {}
    assert request.event["data_omitted"] is True


async def test_an_event_that_is_too_large_is_sent_without_its_data() -> None:
    with receiving() as receiver:
        office = office_for(receiver, ["DONE " + "x" * MOST_BYTES])
        await office.ended(url=receiver.url)
        await office.parts.shutdown(timedelta())
    [request] = receiver.received
    assert len(request.body) < 1_000
    assert request.event["data_omitted"] is True


async def test_a_cloud_event_has_its_headers_and_the_same_body() -> None:
    _, receiver, _, secret = await delivered(format="cloudevents")
    [request] = receiver.received
    event = request.event
    assert request.is_genuine(secret)
    assert {name: request.headers[name] for name in request.headers if name[:3] == "ce-"} == {
        "ce-specversion": "1.0",
        "ce-id": event["id"],
        "ce-source": f"/v1/runs/{event['run_id']}",
        "ce-type": "teamrun.run.completed",
        "ce-time": event["time"],
    }
    assert event["data"]["stop_code"] == "text_mention"


async def test_after_a_rotation_both_secrets_sign_until_one_without_an_overlap() -> None:
    with receiving() as receiver:
        office = office_for(receiver)
        old = (await office.service.secret(TENANT)).secret
        rotated = await office.service.rotate_run_secret(TENANT)
        new = rotated.secret
        await office.ended(url=receiver.url)
        await office.service.rotate_run_secret(TENANT, overlap=timedelta())
        newest = (await office.service.secret(TENANT)).secret
        office.clock.shift += timedelta(seconds=11)  # what a process has read is fresh for 10 s
        await office.ended(url=receiver.url)
        await office.parts.shutdown(timedelta())
    first, second = receiver.received
    assert [first.is_genuine(each) for each in (old, new, newest)] == [True, True, False]
    assert [second.is_genuine(each) for each in (old, new, newest)] == [False, False, True]
    assert rotated.old_secret_until is not None
