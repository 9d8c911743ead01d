"""A receiver that is down for a day, then in trouble of each kind, over HTTP on a scaled clock.

The clock of the deliverer is put forward; the requests have the time of the machine, since the
public library refuses others.
"""

from collections import Counter
from datetime import timedelta

from tests.support.figures import Figures
from tests.support.receiver import Received, Reply, receiving
from tests.support.runs import TENANT
from tests.support.service import free_port
from tests.support.webhooks import Office

from teamrun.core.clock import SystemClock
from teamrun.net.destinations import Destinations
from teamrun.webhooks.requests import WebhookRequest
from teamrun.webhooks.sender import MOST_READ, GuardedSender

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)

TROUBLES = {
    "429 with Retry-After": Reply(429, {"Retry-After": "7200"}),
    "slow": Reply(waits=True),
    "10 MB answer": Reply(500, size=10_000_000),
    "redirect to 127.0.0.1": Reply(302, {"Location": "http://127.0.0.1:1/"}),
    "503": Reply(503),
}
"""What each run meets once, after the day."""


def office_at(port: int) -> Office:
    allowed = Destinations([f"127.0.0.1:{port}"])
    sender = GuardedSender(allowed, clock=SystemClock(), timeout=timedelta(seconds=1))
    return Office(sender=sender, destinations=allowed)


async def test_a_receiver_that_was_down_for_a_day_and_in_trouble_gets_every_event(
    figures: Figures,
) -> None:
    port, met = free_port(), dict[str, list[str]]()
    office = office_at(port)
    url = f"http://127.0.0.1:{port}/hook"
    troubles = list(TROUBLES)
    refs = [await office.ended(url=url, events=["run.completed"]) for _ in range(2 * len(troubles))]
    runs = {ref.run_id: troubles[n % len(troubles)] for n, ref in enumerate(refs)}
    await office.pass_time(DAY, step=20 * MINUTE)
    before = [await office.outcomes(ref) for ref in refs]
    assert before == [{"run.completed": "pending"}] * len(refs)

    def decide(request: Received) -> Reply:
        name = runs[request.event["run_id"]]
        seen = met.setdefault(request.id, [])
        seen.append(name if not seen else "accepted")
        return TROUBLES[name] if len(seen) == 1 else Reply()

    with receiving(port=port) as receiver:
        receiver.decide = decide
        await office.pass_time(2 * DAY, step=HOUR)
        secret = (await office.service.secret(TENANT)).secret
        genuine = [each.is_genuine(secret) for each in receiver.received]
        await office.parts.shutdown(timedelta())

    assert [await office.outcomes(ref) for ref in refs] == [{"run.completed": "delivered"}] * len(
        refs
    )
    assert genuine == [True] * len(receiver.received)
    assert {len(each) for each in met.values()} == {2}
    assert len(met) == len(refs)
    assert await office.markers() == []
    tries = [await tries_of(office, ref.run_id) for ref in refs]
    errors = Counter(error for each in tries for error in each)
    assert max(map(len, tries)) <= 9
    kinds = {"connection_failed", "timeout", "redirect", "http_status"}
    assert errors.keys() == {*kinds, "delivered"}
    shown = ", ".join(f"{count} {name}" for name, count in errors.most_common())
    figures.add(
        f"receiver down for a day, then 5 troubles   {len(met)} of {len(refs)} events delivered",
        f"requests, by outcome                       {shown}",
    )


async def tries_of(office: Office, run_id: str) -> list[str]:
    [delivery] = (await office.service.deliveries_of_run(TENANT, run_id)).data
    return [made.error or "delivered" for made in delivery.tries]


async def test_retry_after_and_an_answer_of_410_over_http() -> None:
    port = free_port()
    office = office_at(port)
    answers = [Reply(429, {"Retry-After": "7200"}), Reply(410)]
    with receiving(*answers, port=port) as receiver:
        request = {"url": f"{receiver.url}/hook", "events": ["run.completed"]}
        hook = await office.service.create(TENANT, WebhookRequest.model_validate(request))
        for _ in range(2):
            ref = await office.cluster.submit()
            await office.cluster.worker().execute(ref)
            await office.drained()
        assert len(receiver.received) == 1  # the second waits until the host is asked again
        await office.pass_time(3 * HOUR, step=10 * MINUTE)
        await office.parts.shutdown(timedelta())
    shown = await office.service.get(TENANT, hook.id)
    assert (shown.enabled, shown.disabled_because) == (False, "gone")
    listed = (await office.service.deliveries(TENANT, hook.id)).data
    assert [each.status for each in listed] == ["failed", "skipped"]
    assert len(receiver.received) == 2


async def test_a_request_with_one_byte_changed_anywhere_is_refused() -> None:
    port = free_port()
    office = office_at(port)
    with receiving(port=port) as receiver:
        await office.ended(url=f"{receiver.url}/hook")
        secret = (await office.service.secret(TENANT)).secret
        await office.parts.shutdown(timedelta())
    [request] = receiver.received
    assert request.is_genuine(secret)
    for name in ("webhook-id", "webhook-timestamp"):
        value = request.headers[name]
        for place in range(len(value)):
            changed = value[:place] + chr(ord(value[place]) ^ 1) + value[place + 1 :]
            headers = {**request.headers, name: changed}
            assert not Received(request.path, headers, request.body).is_genuine(secret), changed


def test_ten_megabytes_are_more_than_is_read() -> None:
    assert TROUBLES["10 MB answer"].size > 100 * MOST_READ
