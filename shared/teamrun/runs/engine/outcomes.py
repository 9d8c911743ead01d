"""Outcomes of calls, in the form that the log stores.

Everything that a call returns or raises is converted here before run code receives it. Run code
then sees the same values live and in a replay, and the entry can always be written.
"""

import logging
from typing import Any, cast

from teamrun.core.call import CallInfo
from teamrun.errors import ModelError, TeamrunError, Unrecordable
from teamrun.json_types import JsonObject
from teamrun.messages.llm import CreateResult
from teamrun.messages.recordable import encodable, exception_text, recordable, reportable
from teamrun.messages.recordable_result import recordable_result
from teamrun.runs.engine.protocol import Outcome
from teamrun.runs.log.entries import ErrorRecord

__all__ = ["error_record", "failed_outcome", "log_failure", "recorded"]

logger = logging.getLogger(__name__)


def error_record(error: BaseException, *, agent: str | None = None) -> ErrorRecord:
    """Convert an exception of any class to data, without its traceback."""
    try:
        return _described(error, agent)
    except Exception:  # attributes of an unknown class may raise or have any type
        return ErrorRecord(
            type=encodable(type(error).__name__),
            code="run_failed",
            message="An exception was raised, and reading its attributes failed.",
            agent=agent,
        )


def _described(error: BaseException, agent: str | None) -> ErrorRecord:
    # A UserProxyAgent raises RuntimeError, as AutoGen's users expect, with the reason as its cause.
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
    """Make everything in the outcome recordable, in place.

    Raises:
        Unrecordable: The value or the state is too large, too deep, or not JSON.
    """
    if outcome.is_recordable:
        return outcome
    if isinstance(outcome.value, CreateResult):
        outcome.value = recordable_result(outcome.value)
        outcome.usage = outcome.value.usage
    else:
        outcome.value = recordable(outcome.value)
    outcome.state = _recorded_state(outcome.state)
    outcome.model = outcome.model and encodable(str(outcome.model))
    outcome.detail = reportable(outcome.detail)
    outcome.is_recordable = True
    return outcome


def failed_outcome(error: BaseException, *, agent: str, **detail: Any) -> Outcome:
    """The outcome of a call that raised `error`, an exception of any class."""
    record = error_record(error, agent=agent)
    return Outcome(error=record, detail=reportable(detail), is_recordable=True)


def log_failure(error: BaseException, info: CallInfo, **names: str) -> None:
    """Log that the operator's code raised an exception, with its traceback.

    Args:
        error: The exception. Errors raised on purpose (`TeamrunError`) are logged at info level,
            without a traceback.
        info: The call.
        names: What failed: the `tool` or the `model`, by name.
    """
    on_purpose = isinstance(error, TeamrunError)
    logger.log(
        logging.INFO if on_purpose else logging.WARNING,
        "A call failed",
        exc_info=None if on_purpose else error,
        extra={
            **names,  # first: of a custom agent, the path is logged in place of the name
            "action": "engine.call_failed",
            "run_id": info.run_id,
            "agent": info.agent,
            "call_id": info.call_id,
            "error": type(error).__name__,
        },
    )


def _recorded_state(state: Any) -> JsonObject | None:
    if state is None:
        return None
    kept = recordable(state, exact=True)
    if not isinstance(kept, dict):
        raise Unrecordable("A state must be a dict, because it is stored as a JSON object.")
    return cast("JsonObject", kept)
