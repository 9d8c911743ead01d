"""New runs from existing ones: forks, and retries of runs that have ended."""

import secrets

from teamrun.core.refs import RunRef
from teamrun.errors import DefinitionError, NoSuchPoint, RunNotFinished
from teamrun.runs.log.entries import Entry
from teamrun.runs.log.prefix import cut_at, read_prefix, turns_of, with_message, without_failure
from teamrun.runs.log.reader import not_found, run_ref
from teamrun.runs.log.spec import ForkPoint
from teamrun.runs.log.state import RunState
from teamrun.runs.service.acceptance import Acceptance, Submitted
from teamrun.runs.service.requests import ForkRequest, Overrides, RetryRequest, check_limits

__all__ = ["Forks", "not_finished"]


class Forks(Acceptance):
    """Accepts new runs, forks and retries."""

    async def fork(
        self, tenant: str, run_id: str, request: ForkRequest, *, idempotency_key: str | None = None
    ) -> Submitted:
        """Accept a run that shares another's history up to an event, without repeating its calls.

        Raises:
            NoSuchPoint: The run has no such event.
            IdempotencyConflict: The key was used with another request.
            Unavailable: Storage does not respond; nothing is accepted.
        """
        parent = run_ref(tenant, run_id)
        entries, state = await self._whole(parent)
        if request.after_seq >= state.seq:
            raise NoSuchPoint(
                f"The run has no event {request.after_seq}; use the `seq` of one of its events.",
                pointer="/after_seq",
            )
        prefix = cut_at(entries, request.after_seq)
        if request.input is not None:
            prefix = with_message(prefix, request.input)
        spec, most = state.spec, request.overrides.max_turns
        if most is not None and most < turns_of(prefix):
            raise DefinitionError(
                f"The shared history already has {turns_of(prefix)} turns; set max_turns to at "
                f"least {turns_of(prefix)}, or fork after an earlier event.",
                pointer="/overrides/max_turns",
            )
        if request.overrides != Overrides():
            spec = self._overridden(spec, request.overrides)
        point = ForkPoint(run_id=parent.run_id, after_seq=request.after_seq)
        spec = spec.model_copy(
            update={
                "limits": request.limits,
                "run_at": None,
                "deadline": None,
                "forked_from": point,
            }
        )
        check_limits(request.limits, spec.definition)
        return await self._accept_child(
            parent, spec, prefix, verb="fork", key=idempotency_key, request=request
        )

    async def retry(
        self, tenant: str, run_id: str, request: RetryRequest, *, idempotency_key: str | None = None
    ) -> Submitted:
        """Accept a run with the same specification as one that has ended.

        Raises:
            RunNotFinished: The run has not ended.
            NoSuchPoint: `from` is `here`, but the run did not fail because of a call.
            IdempotencyConflict: The key was used with another request.
            Unavailable: Storage does not respond; nothing is accepted.
        """
        parent = run_ref(tenant, run_id)
        entries, state = await self._whole(parent)
        if state.end is None:
            raise not_finished(state)
        spec, prefix = state.spec.model_copy(update={"run_at": None}), list[Entry]()
        if request.from_ == "here":
            prefix = without_failure(entries)
        else:
            anew = {"seed": secrets.token_hex(16), "forked_from": None}
            spec = spec.model_copy(update=anew)
        return await self._accept_child(
            parent, spec, prefix, verb="retry", key=idempotency_key, request=request
        )

    async def _whole(self, ref: RunRef) -> tuple[list[Entry], RunState]:
        """The prefix of a run followed by its own entries, and its state."""
        log = self._reader.log(ref)
        async with self._reader.unless_erased(ref):
            entries = await log.read()
            state = log.folded(entries)
            if state is None:
                raise not_found(ref)
            shared = await read_prefix(log, entries)
        return [*shared, *(entries[1:] if shared else entries)], state


def not_finished(state: RunState) -> RunNotFinished:
    """The error of a request that requires an ended run."""
    run_id = state.spec.run_id
    return RunNotFinished(f"Run {run_id!r} is {state.status}; wait for its end.", run_id=run_id)
