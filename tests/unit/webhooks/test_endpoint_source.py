"""Which entries an endpoint has, as the deliverer sees them."""

from teamrun.core.refs import RunRef
from teamrun.runs.log.keys import webhook_folder
from teamrun.storage.memory import MemoryStore
from teamrun.storage.versions import write_version
from teamrun.webhooks.endpoint_source import EndpointSource
from teamrun.webhooks.jobs import Job
from teamrun.webhooks.sources import GONE

REF = RunRef("default", "whe_0123456789abcdef0123456789abcdef")


async def test_a_version_that_a_deletion_has_removed_is_gone_and_one_to_come_is_not() -> None:
    store = MemoryStore()
    source = EndpointSource(store)
    assert await write_version(store, webhook_folder(*REF), 3, b"{}")
    assert await source.read(Job(REF, 2)) is GONE
    assert await source.read(Job(REF, 4)) is None
