"""The rules of webhooks, each broken once."""

import logging
from dataclasses import replace
from datetime import datetime
from functools import partial
from itertools import count
from typing import Any

from tests.simulation.mutant import Mutant, Patch, background
from tests.simulation.weather import LEASE, Weather, apart

from teamrun.json_types import JsonObject
from teamrun.webhooks import request, sender
from teamrun.webhooks.deliverer import Deliverer
from teamrun.webhooks.delivering import Delivering
from teamrun.webhooks.endpoints import Endpoints
from teamrun.webhooks.jobs import Hold, Job
from teamrun.webhooks.outbox import Outbox
from teamrun.webhooks.records import Record
from teamrun.webhooks.sources import Logged
from teamrun.webhooks.stored_endpoints import Known
from teamrun.webhooks.target import Target
from teamrun.webhooks.targets import Targets

__all__ = ["HOOK_MUTANTS"]


class _NoStore:
    """For a part that is made to write nothing."""

    async def put_new(self, key: str, data: bytes) -> bool:
        return True


def _marker_after_the_entry(patch: Patch) -> None:
    put_marker = Outbox._put_marker  # pyright: ignore[reportPrivateUsage]

    async def put_later(self: Any, job: Job, at: datetime, *rest: Any) -> Any:
        store, self._store = self._store, _NoStore()
        try:
            start = await put_marker(self, job, at, *rest)
        finally:
            self._store = store
        if start is None:
            return None

        async def put_and_start() -> None:
            await store.put_new(job.marker(at + self._hold), b"")
            start()

        return lambda: background(put_and_start())

    patch.setattr(Outbox, "_put_marker", put_later)


def _send_before_the_entry(patch: Patch) -> None:
    put_marker = Outbox._put_marker  # pyright: ignore[reportPrivateUsage]

    async def start_at_once(self: Any, *rest: Any) -> Any:
        start = await put_marker(self, *rest)
        if start is not None:
            start()
        return None

    patch.setattr(Outbox, "_put_marker", start_at_once)


def _settle_before_the_request(patch: Patch) -> None:
    due_in = Delivering._due_in  # pyright: ignore[reportPrivateUsage]

    async def settle_first(
        self: Any, event: JsonObject, target: Target, record: Record, *rest: Any
    ) -> Any:
        await self._settle(event, replace(record), "delivered")
        return await due_in(self, event, target, record, *rest)

    patch.setattr(Delivering, "_due_in", settle_first)


def _new_id_for_each_try(patch: Patch) -> None:
    signed, numbers = request.signed, count()

    def sign_anew(webhook_id: str, body: bytes, **options: Any) -> dict[str, str]:
        return signed(f"{webhook_id}-{next(numbers)}", body, **options)

    patch.setattr(request, "signed", sign_anew)


def _forget_the_next_try(patch: Patch) -> None:
    async def finish(
        self: Any, job: Job, found: Logged, markers: list[str], until: datetime, *, is_new: bool
    ) -> None:
        await self._delivering.deliver(job, found, latest=until, is_new=is_new)
        await self._store.delete_many(markers)

    patch.setattr(Deliverer, "_finish", finish)


def _take_what_another_has(patch: Patch) -> None:
    async def hold_anyway(self: Any, job: Job, key: str, found: Logged, hold: Hold) -> None:
        held = job.marker(hold.until)
        await self._store.put_new(held, b"")
        await self._finish(job, found, [key, held], hold.until, is_new=False)

    patch.setattr(Deliverer, "_hold_and_finish", hold_anyway)


def _forget_what_is_not_there_yet(patch: Patch) -> None:
    take = Deliverer._take  # pyright: ignore[reportPrivateUsage]

    async def take_or_forget(self: Any, job: Job, key: str, due: datetime) -> None:
        if await self._read(job) is None:
            await self._store.delete(key)
        else:
            await take(self, job, key, due)

    patch.setattr(Deliverer, "_take", take_or_forget)


def _count_failures_as_success(patch: Patch) -> None:
    def no_fault(_: int) -> None:
        return None

    patch.setattr(sender, "_fault", no_fault)


def _old_endpoints(patch: Patch) -> None:
    known = Endpoints.known

    def known_before(self: Any, tenant: str, **_: Any) -> Known | None:
        return known(self, tenant)

    patch.setattr(Endpoints, "known", known_before)


def _secret_in_the_body(patch: Patch) -> None:
    body = request._body  # pyright: ignore[reportPrivateUsage]

    def tell(event: JsonObject, target: Target) -> bytes:
        return body({**event, "data": {**event["data"], "secrets": target.secrets}}, target)

    patch.setattr(request, "_body", tell)


def _secret_in_a_log_line(patch: Patch) -> None:
    report = Targets.report

    async def tell(self: Any, target: Target, **options: Any) -> None:
        logging.getLogger("teamrun").info("Sent", extra={"secrets": target.secrets})
        await report(self, target, **options)

    patch.setattr(Targets, "report", tell)


def _one_clock_apart(weather: Weather) -> Weather:
    return replace(apart(weather), crash=0.0, freeze=0.0, skew=0.0)


_deep_freezes = partial(replace, crash=0.0, freeze=0.03, freeze_s=9 * LEASE)

HOOK_MUTANTS = (
    Mutant(
        "webhooks: the marker after the entry",
        _marker_after_the_entry,
        has_hooks=True,
        seed=193766895136506,
    ),
    Mutant(
        "webhooks: send before the entry",
        _send_before_the_entry,
        has_hooks=True,
        seed=139175783764056,
    ),
    Mutant(
        "webhooks: settle before the request",
        _settle_before_the_request,
        has_hooks=True,
        seed=79298512391296,
    ),
    Mutant(
        "webhooks: a new id for each try",
        _new_id_for_each_try,
        has_hooks=True,
        seed=120727330038264,
    ),
    Mutant(
        "webhooks: forget the next try", _forget_the_next_try, has_hooks=True, seed=215463179378318
    ),
    Mutant(
        "webhooks: take a job that another process has",
        _take_what_another_has,
        focus=_one_clock_apart,
        has_hooks=True,
        seed=211274071770833,
    ),
    Mutant(
        "webhooks: forget an entry that is not there yet",
        _forget_what_is_not_there_yet,
        focus=_deep_freezes,
        has_hooks=True,
        seed=274912033088565,
    ),
    Mutant(
        "webhooks: a failure counts as success",
        _count_failures_as_success,
        has_hooks=True,
        seed=68500519010597,
    ),
    Mutant(
        "webhooks: endpoints from before the run",
        _old_endpoints,
        has_hooks=True,
        seed=106329946860066,
    ),
    Mutant(
        "webhooks: a secret in the body", _secret_in_the_body, has_hooks=True, seed=206546763015589
    ),
    Mutant(
        "webhooks: a secret in a log line",
        _secret_in_a_log_line,
        has_hooks=True,
        seed=100472697035867,
    ),
)
