"""Webhooks of processes whose clocks differ."""

from datetime import timedelta

from tests.support.runs import TENANT
from tests.support.webhooks import URL, Office

from teamrun.webhooks.requests import WebhookRequest
from teamrun.webhooks.targets import Targets


async def test_a_clock_that_is_behind_loses_no_event() -> None:
    office = Office()
    request = WebhookRequest.model_validate({"url": URL, "events": ["run.*"]})
    hook = await office.service.create(TENANT, request)
    office.clock.shift -= timedelta(minutes=1)
    ref = await office.cluster.submit()
    await office.cluster.worker().execute(ref)
    await office.drained()
    office.clock.shift += timedelta(minutes=2)
    await office.sweep()

    page = await office.service.deliveries(TENANT, hook.id)
    assert [each.status for each in page.data] == ["delivered"] * 3


async def test_a_clock_that_is_ahead_knows_an_endpoint_that_an_acceptance_knew() -> None:
    office = Office()
    request = WebhookRequest.model_validate({"url": URL, "events": ["run.*"]})
    await office.service.create(TENANT, request)
    ahead = office.process()
    office.clock.shift += timedelta(seconds=5)
    await ahead.endpoints.read(TENANT)
    office.clock.shift -= timedelta(seconds=5)
    hook = await office.service.create(TENANT, request.model_copy(update={"url": f"{URL}/2"}))

    targets = Targets(ahead.secrets, ahead.endpoints, office.clock)
    found = await targets.of(TENANT, None, after=office.clock.now(), as_of=hook.created_at)
    assert hook.id in {target.id for target in found}
