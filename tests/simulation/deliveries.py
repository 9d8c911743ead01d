"""The invariants of webhooks (I7) at the end of a schedule, from what receivers were sent."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from tests.simulation.deployment import Deployment
from tests.simulation.hooks import OWN_URL, Fact, HookOffice, KnownEndpoint, KnownLog
from tests.simulation.processes import TENANT
from tests.simulation.world import EPOCH

from teamrun.batches.keys import BatchRef, batch_folder
from teamrun.core.refs import RunRef
from teamrun.runs.log.keys import endpoint_hook_folder, hook_folder
from teamrun.runs.log.webhook import matches
from teamrun.webhooks.records import Settled
from teamrun.webhooks.schedule import TRIES

__all__ = ["misdelivered"]

_NEWS = 11.0
"""Seconds in which every process knows of a new endpoint; it reads them every ten."""


@dataclass
class _Round:
    """What is stored about one round of a delivery."""

    tries: int = 0
    settled: Settled | None = None


@dataclass
class _Delivery:
    """An event and a receiver, with what is stored about it."""

    log_id: str
    seq: int
    target: str
    rounds: defaultdict[int, _Round] = field(default_factory=lambda: defaultdict(_Round))

    @property
    def event_id(self) -> str:
        return f"{self.log_id}-{self.seq}"


def misdelivered(world: Deployment) -> Iterator[str]:
    """All violations."""
    office = world.hooks
    if office is None:
        return
    for log_id, log in office.logs.items():
        if log.is_void or (log_id in office.endpoints and office.endpoints[log_id].is_deleted):
            continue
        stored = _deliveries(world, log_id)
        for seq, fact in log.facts.items():
            for target in _targets(world, office, log, fact) if fact.is_due else ():
                if (seq, target) not in stored:
                    yield f"I7 {log_id}-{seq} ({fact.type}) was never sent to {target}"
        for delivery in stored.values():
            yield from _of_delivery(world, office, log, delivery)


def _deliveries(world: Deployment, log_id: str) -> dict[tuple[int, str], _Delivery]:
    """The records of the deliveries of a log."""
    folder = folder_of(log_id)
    found: dict[tuple[int, str], _Delivery] = {}
    for key, data in world.objects(folder):
        seq, target, name = key.removeprefix(folder).split("/")
        place = int(seq), target
        delivery = found.setdefault(place, _Delivery(log_id, int(seq), target))
        number, _, what = name.partition(".")
        current = delivery.rounds[int(number)]
        if what == "settled":
            current.settled = Settled.model_validate_json(data)
        current.tries += what.startswith("try-")
    return found


def folder_of(log_id: str) -> str:
    """Where the deliveries of a log are recorded."""
    ref = RunRef(TENANT, log_id)
    if log_id.startswith("bat_"):
        return f"{batch_folder(BatchRef(*ref))}hook/"
    return endpoint_hook_folder(ref) if log_id.startswith("whe_") else hook_folder(ref)


def _targets(world: Deployment, office: HookOffice, log: KnownLog, fact: Fact) -> Iterator[str]:
    """Who has to be sent an event; others may be."""
    if log.webhook is not None and matches(log.webhook.events, fact.type):
        yield "own"
    for endpoint_id, endpoint in office.endpoints.items():
        first = endpoint.versions[0]
        if endpoint.is_deleted or not matches(first.events, fact.type):
            continue
        skew = world.weather.skew
        is_old = (fact.at - EPOCH).total_seconds() - skew > endpoint.since + _NEWS
        is_known = log.as_of is not None and _newest_at(office, log.as_of) == [endpoint_id]
        if is_old or (is_known and fact.at >= first.created_at):
            yield endpoint_id


def _newest_at(office: HookOffice, at: datetime) -> list[str]:
    """The endpoints that were changed at that time."""
    return [
        endpoint_id
        for endpoint_id, endpoint in office.endpoints.items()
        if any(version.updated_at == at for version in endpoint.versions)
    ]


def _of_delivery(
    world: Deployment, office: HookOffice, log: KnownLog, delivery: _Delivery
) -> Iterator[str]:
    told, target = f"{delivery.event_id} to {delivery.target}", delivery.target
    endpoint = office.endpoints.get(target)
    fact = log.facts.get(delivery.seq)
    if fact is None or not fact.is_due:
        yield f"I7 {told}: there is no such event"
        return
    if target != "own" and endpoint is None:
        yield f"I7 {told}: there is no such endpoint"
        return
    newest = delivery.rounds[max(delivery.rounds)]
    if newest.settled is None and not (endpoint and endpoint.is_deleted):
        yield f"I7 {told} is not over"
    answers = office.answers[endpoint.url if endpoint else OWN_URL, delivery.event_id]
    ends = Counter(one.settled.outcome for one in delivery.rounds.values() if one.settled)
    world.stats.update(f"delivery {outcome}" for outcome in ends.elements())
    world.stats["delivered twice"] += _accepted(answers) > ends["delivered"]
    world.stats["tried again"] += any(one.tries for one in delivery.rounds.values())
    world.stats["delivered again"] += len(delivery.rounds) > 1
    if _accepted(answers) < ends["delivered"]:
        yield f"I7 {told} counts as delivered, and its receiver accepted {answers}"
    for one in delivery.rounds.values():
        yield from (f"I7 {told} {text}" for text in _of_round(one, answers, endpoint))


def _accepted(answers: list[int]) -> int:
    return sum(200 <= status < 300 for status in answers)


def _of_round(one: _Round, answers: list[int], endpoint: KnownEndpoint | None) -> Iterator[str]:
    match one.settled and one.settled.outcome:
        case "failed" if 410 not in answers and one.tries != TRIES - 1:
            yield f"was given up after {one.tries + 1} tries"
        case "skipped" if endpoint is None or not endpoint.was_closed:
            yield "was skipped though its receiver was neither disabled nor deleted"
        case _:
            pass
