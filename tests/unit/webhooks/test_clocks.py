"""Webhooks of processes whose clocks differ."""

from datetime import timedelta

from tests.support.runs import TENANT
from tests.support.webhooks import URL, Office

from teamrun.webhooks.requests import WebhookRequest


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
