"""Webhooks in a simulated deployment: what its processes have, and what is known from outside.

The office sees each object when it is stored and each request when it arrives, so it knows which
events are durable, which endpoints and secrets there are, and what receivers were sent.
"""

import hashlib
import hmac
from base64 import b64decode, b64encode
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, cast

from pydantic_core import from_json, to_json
from tests.simulation.ports import Host, LivePort, QueuePort, StorePort
from tests.simulation.receivers import HttpPort, Reception

from teamrun.batches.entries import Accepted as AcceptedBatch
from teamrun.batches.entries import BatchEntry
from teamrun.batches.hooks import BatchSource
from teamrun.core.clock import Clock
from teamrun.json_types import JsonObject
from teamrun.net.client import GuardedClient
from teamrun.net.destinations import Destinations
from teamrun.runs.log.entries import Accepted, End, LoggedEvent, read_entry
from teamrun.runs.log.keys import HOOKS
from teamrun.runs.log.webhook import EVENT_TYPES, RunWebhook
from teamrun.webhooks.endpoint import Endpoint
from teamrun.webhooks.parts import WebhookParts, compose_webhooks
from teamrun.webhooks.secret import Secret
from teamrun.webhooks.sender import GuardedSender
from teamrun.webhooks.service import WebhookService

if TYPE_CHECKING:
    from tests.simulation.processes import Process

__all__ = ["OWN_URL", "Fact", "HookOffice", "KnownEndpoint", "KnownLog", "webhook_service"]

OWN_URL = "https://own.example/hook"

_SWEEP = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Fact:
    """A logged event."""

    type: str
    at: datetime
    data: JsonObject
    is_due: bool
    """Whether webhooks can subscribe to it; those that a fork shares are sent by the first run."""


@dataclass(slots=True)
class KnownLog:
    """The events of a log, as they became durable."""

    webhook: RunWebhook | None = None
    as_of: datetime | None = None
    """The newest change of an endpoint that its acceptance knew."""
    is_void: bool = False
    facts: dict[int, Fact] = field(default_factory=dict[int, Fact])


@dataclass(slots=True)
class KnownEndpoint:
    """The versions of an endpoint, with the time at which the first one became durable."""

    since: float
    versions: list[Endpoint]

    @property
    def url(self) -> str:
        return self.versions[0].url

    @property
    def is_deleted(self) -> bool:
        return self.versions[-1].is_deleted

    @property
    def was_closed(self) -> bool:
        """Whether it was disabled or deleted."""
        disabled = any(version.disabled_because is not None for version in self.versions)
        return disabled or self.is_deleted


_Delivery = tuple[str, str]
"""The URL and the `webhook-id`."""


def webhook_service(parts: WebhookParts, *, store: StorePort, clock: Clock) -> WebhookService:
    """The service of an API process."""
    return WebhookService(
        store=store,
        secrets=parts.secrets,
        endpoints=parts.endpoints,
        sources=parts.sources,
        sender=parts.sender,
        destinations=Destinations(),
        clock=clock,
    )


class HookOffice:
    """The webhooks of one world; implements `receivers.Office`.

    Args:
        reception: How receivers answer.
        now: The time in the world, in seconds.
        fault: Called with each violation.
        seen: Called with each request, to look for secrets.
        keys: The keys in storage now.
        is_exact: No clock is wrong, so holds keep processes apart.
    """

    def __init__(
        self,
        reception: Reception,
        *,
        now: Callable[[], float],
        fault: Callable[[str], None],
        seen: Callable[[str, bytes], None],
        keys: Callable[[], list[str]],
        is_exact: bool,
    ) -> None:
        self.reception = reception
        self.is_calm = False
        self._is_exact = is_exact
        self.logs: defaultdict[str, KnownLog] = defaultdict(KnownLog)
        self.endpoints: dict[str, KnownEndpoint] = {}
        self.answers: defaultdict[_Delivery, list[int]] = defaultdict(list)
        """The status of each answer of a receiver, sent or lost."""
        self.doubled = set[str]()
        """Jobs with several messages in the queue; each of them is executed at once."""
        self._secrets: defaultdict[str, set[str]] = defaultdict(set)
        self._under_way: defaultdict[_Delivery, list[Host]] = defaultdict(list)
        self._now = now
        self._fault = fault
        self._seen = seen
        self._keys = keys

    def parts(self, process: "Process", *, delivers: bool) -> WebhookParts:
        """What one process has."""
        destinations = Destinations()
        client = cast("GuardedClient", HttpPort(process, self))
        store = StorePort(process)
        return compose_webhooks(
            store=store,
            live=LivePort(process),
            dispatcher=QueuePort(process),
            delivers=delivers,
            destinations=destinations,
            owner=process.name,
            interval=_SWEEP,
            clock=process.clock,
            hold=self.reception.hold,
            sender=GuardedSender(destinations, clock=process.clock, client=lambda _: client),
            further={"bat_": BatchSource(store, process.clock)},
        )

    # What becomes durable

    def stored(self, key: str, data: bytes) -> None:
        """An object was created."""
        folder, log, _ = key.partition("/log/")
        if log and "/runs/" in folder:
            self._logged(folder.rpartition("/")[2], data)
        elif log and "/batches/" in folder:
            self._batch_logged(folder.rpartition("/")[2], data)
        elif "/webhooks/" in key and key.endswith(".json"):
            endpoint_id, name = key.split("/")[-2:]
            self._changed(endpoint_id, int(name.removesuffix(".json")), data)

    def _logged(self, run_id: str, data: bytes) -> None:
        entry, log = read_entry(data), self.logs[run_id]
        first_due = 0
        if entry.n == 0:
            log.is_void = isinstance(entry.body, End)
            first_due = len(entry.events) - 1
            if isinstance(entry.body, Accepted):
                log.webhook, log.as_of = entry.body.spec.webhook, entry.body.spec.webhooks_at
        for place, event in enumerate(entry.events):
            is_due = place >= first_due and event.type in EVENT_TYPES
            fact = _fact(event, entry.at, is_due=is_due)
            log.facts[entry.seq + place] = fact

    def _batch_logged(self, batch_id: str, data: bytes) -> None:
        entry, log = BatchEntry.model_validate_json(data), self.logs[batch_id]
        if isinstance(entry.body, AcceptedBatch):
            log.webhook, log.as_of = entry.body.spec.webhook, entry.body.spec.webhooks_at
        log.is_void = log.is_void or (entry.n == 0 and entry.body.kind == "end")
        for place, event in enumerate(entry.events):
            data_of = from_json(to_json(event.data))
            log.facts[entry.seq + place] = Fact(event.type, entry.at, data_of, is_due=True)

    def _changed(self, endpoint_id: str, number: int, data: bytes) -> None:
        if endpoint_id == "own":
            self._secrets[OWN_URL].update(_all_of(Secret.model_validate_json(data)))
            return
        endpoint = Endpoint.model_validate_json(data)
        known = self.endpoints.setdefault(endpoint_id, KnownEndpoint(self._now(), []))
        if number <= len(known.versions):  # created again, by a request from before its deletion
            return
        known.versions.append(endpoint)
        if endpoint.secret is not None:
            self._secrets[known.url].update(_all_of(endpoint.secret))
        if endpoint.event is not None:
            fact = _fact(endpoint.event, endpoint.updated_at, is_due=True)
            self.logs[endpoint_id].facts[number] = fact

    # What receivers see

    def arrived(self, host: Host, url: str, headers: Mapping[str, str], body: bytes) -> str:
        """Check a request as a receiver, and against the logs."""
        event, webhook_id = from_json(body), headers["webhook-id"]
        self._seen(f"a request to {url}", body + repr(headers).encode())
        for fault in self._faults_of(event, webhook_id):
            self._fault(f"I7 {webhook_id} of {event['type']} {fault}")
        if not self._is_signed(url, headers, body):
            self._fault(f"I7 {webhook_id} has no valid signature")
        self._check_alone(host, (url, webhook_id))
        self._under_way[url, webhook_id].append(host)
        return event["type"]

    def answered(self, host: Host, url: str, headers: Mapping[str, str], status: int) -> None:
        self.answers[url, headers["webhook-id"]].append(status)

    def left(self, host: Host, url: str, headers: Mapping[str, str]) -> None:
        self._under_way[url, headers["webhook-id"]].remove(host)

    def _faults_of(self, event: JsonObject, webhook_id: str) -> Iterator[str]:
        if event["id"] != webhook_id:
            yield f"has the body of {event['id']}"
        if webhook_id.startswith("whe_") and "-test_" in webhook_id:  # no event of a log
            return
        log_id, _, seq = webhook_id.rpartition("-")
        known = self.logs[log_id].facts if log_id in self.logs else {}
        fact = known.get(int(seq)) if seq.isdigit() else None
        if fact is None:
            yield "was sent before it was in the log"
        elif (event["type"], event["seq"]) != (fact.type, int(seq)):
            yield f"is {fact.type} in the log"
        elif event["data"] != ({} if event.get("data_omitted") else fact.data):
            yield "has other data in the log"

    def _is_signed(self, url: str, headers: Mapping[str, str], body: bytes) -> bool:
        sent = headers["webhook-signature"].split(" ")
        text = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        return any(_signature(secret, text) in sent for secret in self._secrets[url])

    def _check_alone(self, host: Host, delivery: _Delivery) -> None:
        """Two processes that are well do not have one job at the same time.

        There may be two if a job has markers of two times: of two writers of an entry, or of a
        redelivery. A message of the queue that comes twice is executed twice.
        """
        others = [other for other in self._under_way[delivery] if other is not host]
        log_id = delivery[1].rpartition("-")[0]
        if not others or not self._is_exact or log_id in self.doubled:
            return
        since = self._now() - 2 * self.reception.hold.total_seconds()
        if not all(each.is_steady(since) for each in (host, *others)):
            return
        name = f".{log_id}-"
        ends = {_place_in_hold(key, self.reception.hold) for key in self._keys() if name in key}
        if len(ends) == 1:
            self._fault(f"I7 {delivery[1]} was sent by two processes at the same time")


def _place_in_hold(key: str, hold: timedelta) -> int:
    hour, rest = key.removeprefix(HOOKS).split("/")[:2]
    at = datetime.strptime(f"{hour}{rest[:4]}+0000", "%Y%m%d%H%M%S%z").timestamp()
    return (int(at) * 1_000 + int(rest[4:])) % int(hold.total_seconds() * 1_000)


def _fact(event: LoggedEvent, at: datetime, *, is_due: bool) -> Fact:
    return Fact(event.type, at, from_json(to_json(event.data)), is_due)


def _all_of(secret: Secret) -> list[str]:
    return [secret.secret, *(old.secret for old in secret.retired)]


def _signature(secret: str, text: bytes) -> str:
    key = b64decode(secret.removeprefix("whsec_"))
    return f"v1,{b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()}"
