"""Cancels a run on behalf of another one: a batch, or a later run of the same thread."""

import contextlib
from typing import Any

from teamrun.core.refs import RunRef
from teamrun.errors import RunEnded, RunNotFound

__all__ = ["cancel_run"]


async def cancel_run(ref: RunRef, reason: str | None, **parts: Any) -> None:
    """Cancel a run; does nothing if it has ended or does not exist.

    Args:
        ref: The run.
        reason: Its `stop_reason`.
        parts: The arguments of `Operations`.
    """
    from teamrun.runs.service.signals import Signals  # few processes cancel a run

    with contextlib.suppress(RunEnded, RunNotFound):
        await Signals(**parts).cancel(ref.tenant, ref.run_id, reason=reason)
