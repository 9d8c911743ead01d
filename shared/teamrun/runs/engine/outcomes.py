"""What calls return, in the form in which the log holds it.

Everything that a call returns or raises passes through here at the edge of the call, before run
code receives it: so run code sees the same live and in a replay, and the entry can be written.
"""

import logging
from typing import Any, cast

from teamrun.core.call import CallInfo
from teamrun.errors import ModelError, TeamrunError, Unrecordable
from teamrun.messages.llm import CreateResult
from teamrun.messages.recordable import (
    encodable,
    exception_text,
    recordable,
    recordable_result,
    reportable,
)
from teamrun.runs.engine.protocol import Outcome
from teamrun.runs.log.entries import ErrorRecord

__all__ = ["error_record", "failed_outcome", "log_failure", "recorded"]

logger = logging.getLogger(__name__)


def error_record(error: BaseException, *, agent: str | None = None) -> ErrorRecord:
    """An exception of any class as data, without its traceback."""
    try:
        return _described(error, agent)
    except Exception:  # attributes of a foreign class may raise, or have any type
        return ErrorRecord(
            type=encodable(type(error).__name__),
            code="run_failed",
            message="An exception was raised whose attributes cannot be read.",
            agent=agent,
        )


def _described(error: BaseException, agent: str | None) -> ErrorRecord:
    # A UserProxyAgent raises RuntimeError, as AutoGen's users expect; the reason is its cause.
    known = error if isinstance(error, TeamrunError) else error.__cause__
    model = error if isinstance(error, ModelError) else None
    return ErrorRecord(
        type=encodable(type(error).__name__),
        code=encodable(known.code) if isinstance(known, TeamrunError) else "run_failed",
        message=exception_text(error),
        retryable=model is not None and model.retryable,
        status_code=model and model.status_code,
        agent=agent,
    )


def recorded(outcome: Outcome) -> Outcome:
    """The outcome with everything in it made recordable, in place.

    Raises:
        Unrecordable: Its value or its state is too large, too deep, or no JSON.
    """
    if isinstance(outcome.value, CreateResult):
        outcome.value = recordable_result(outcome.value)
        outcome.usage = outcome.value.usage
    else:
        outcome.value = recordable(outcome.value)
    outcome.state = _recorded_state(outcome.state)
    outcome.model = outcome.model and encodable(str(outcome.model))
    outcome.detail = reportable(outcome.detail)
    return outcome


def failed_outcome(error: BaseException, *, agent: str, **detail: Any) -> Outcome:
    """What a call has come to that raised `error`, of whatever class."""
    return Outcome(error=error_record(error, agent=agent), detail=reportable(detail))


def log_failure(error: BaseException, info: CallInfo, **names: str) -> None:
    """Log that code of the operator's own has raised, with its traceback.

    Args:
        error: What it raised. Errors raised on purpose (`TeamrunError`) are logged at info level,
            without a traceback.
        info: The call.
        names: What failed: `tool`, `model`, or the `kind` of call.
    """
    on_purpose = isinstance(error, TeamrunError)
    logger.log(
        logging.INFO if on_purpose else logging.WARNING,
        "A call has failed",
        exc_info=None if on_purpose else error,
        extra={
            "action": "call.failed",
            "run_id": info.run_id,
            "agent": info.agent,
            "call_id": info.call_id,
            "error": type(error).__name__,
            **names,
        },
    )


def _recorded_state(state: Any) -> dict[str, Any] | None:
    if state is None:
        return None
    kept = recordable(state, exact=True)
    if not isinstance(kept, dict):
        raise Unrecordable("A state is a JSON object, so it has to be a dict.")
    return cast("dict[str, Any]", kept)
