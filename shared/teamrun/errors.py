"""One tree of errors; each class documents when it is raised and has its data as attributes.

    TeamrunError       the base of all
      UsageError       the caller's mistake: fix the code, request or configuration
      RunError         a run failed
      StorageError     object storage refused a request
      DeliveryError    a queue or a webhook receiver did not accept a message

`code` is stable: the HTTP API, the run log and the event stream use it unchanged.
"""

from collections.abc import Sequence
from typing import Any

from teamrun.json_types import JsonObject

__all__ = [
    "ArtifactNotFound",
    "BatchDeleted",
    "BatchEnded",
    "BatchNotFinished",
    "BatchNotFound",
    "CircuitOpen",
    "DamagedBlob",
    "DefinitionError",
    "DeliveryError",
    "DeliveryNotFound",
    "DestinationRefused",
    "Diverged",
    "EndpointNotFound",
    "EngineFault",
    "FatalToolError",
    "FileNotFound",
    "FileTooLarge",
    "IdempotencyConflict",
    "ImpossibleTime",
    "InvalidArguments",
    "InvalidItems",
    "InvalidKey",
    "MissingPackage",
    "ModelError",
    "NoSuchPoint",
    "NotApproved",
    "NotFound",
    "ObjectChanged",
    "OutsideCall",
    "PreconditionFailed",
    "RunDeleted",
    "RunEnded",
    "RunError",
    "RunInBatch",
    "RunNotFinished",
    "RunNotFound",
    "Runaway",
    "SandboxUnavailable",
    "StaleAction",
    "StorageError",
    "TeamBusy",
    "TeamDeleted",
    "TeamNameTaken",
    "TeamNotFound",
    "TeamReadOnly",
    "TeamVersionNotFound",
    "TeamrunError",
    "TerminatedException",
    "ThreadBusy",
    "ThreadMismatch",
    "ThreadNotFound",
    "TooManyEndpoints",
    "TooManyTeams",
    "ToolError",
    "ToolTimeout",
    "Unanswered",
    "Unavailable",
    "UnfitAnswer",
    "UnfitOutput",
    "UnknownOutcome",
    "UnreadableEntry",
    "Unrecordable",
    "UnusableStore",
    "UsageError",
]


class TeamrunError(Exception):
    """The base of every error that this project raises."""

    code: str = "error"

    def __init__(self, message: str, **data: Any) -> None:
        super().__init__(message)
        self.message = message
        self.data = data

    def __reduce__(self) -> tuple[Any, ...]:
        """Keep the keyword data when the error crosses a process boundary."""
        return _rebuild, (type(self), self.message, self.data)

    def as_json(self) -> JsonObject:
        """The form of the log and the HTTP API."""
        own = {"type": type(self).__name__, "code": self.code, "message": self.message}
        return {**own, **self.data}


def _rebuild(cls: type[TeamrunError], message: str, data: JsonObject) -> TeamrunError:
    return cls(message, **data)


class UsageError(TeamrunError):
    """The caller's mistake; the message names the field or setting and the remedy."""

    code = "usage"


class DefinitionError(UsageError):
    """A definition is invalid. `pointer` is a JSON pointer (RFC 6901) to the field at fault.

    `code` is the kind of problem; `teamrun.components.reading.problems` lists the kinds.
    """

    code = "invalid_definition"

    def __init__(
        self, message: str, *, pointer: str = "", code: str = "invalid_definition", **data: Any
    ) -> None:
        super().__init__(message, pointer=pointer, code=code, **data)
        self.pointer, self.code = pointer, code


class TeamBusy(UsageError, ValueError, RuntimeError):
    """The team is running; wait for its end, or cancel it, and try again.

    AutoGen raises ValueError for a second run and RuntimeError for the rest; this is both.
    """

    code = "team_busy"


class TerminatedException(UsageError, RuntimeError):
    """A termination condition was called again after it fired; reset it first."""

    code = "terminated"


class MissingPackage(UsageError):
    """An optional package is not installed; the message contains the `pip install` command."""

    code = "missing_package"


class SandboxUnavailable(UsageError):
    """This machine has no sandbox for code; the message names what is missing."""

    code = "sandbox_unavailable"


class IdempotencyConflict(UsageError):
    """An Idempotency-Key was used again with another request; use a new key."""

    code = "idempotency_conflict"


class RunNotFound(UsageError):
    """The tenant has no run of this id."""

    code = "run_not_found"


class RunDeleted(UsageError):
    """The run that this Idempotency-Key was used for has been deleted; use a new key."""

    code = "run_deleted"


class BatchDeleted(UsageError):
    """The batch that this Idempotency-Key was used for has been deleted; use a new key."""

    code = "batch_deleted"


class RunNotFinished(UsageError):
    """The result was requested before the run ended; wait, or send `Prefer: wait`."""

    code = "run_not_finished"


class RunEnded(UsageError):
    """The run has ended, so it accepts no more requests of this kind."""

    code = "run_ended"


class StaleAction(UsageError):
    """The question is not open; read the run's `required_actions`."""

    code = "stale_action"


class _FieldError(UsageError):
    """An error about one field of the input."""

    def __init__(self, message: str, *, pointer: str = "", **data: Any) -> None:
        super().__init__(message, pointer=pointer, **data)
        self.pointer = pointer


class UnfitAnswer(_FieldError):
    """An answer does not match its question. `pointer` names the field (RFC 6901)."""

    code = "unfit_answer"


class NoSuchPoint(_FieldError):
    """A run cannot continue from the requested point. `pointer` names the field (RFC 6901)."""

    code = "no_such_point"


class ImpossibleTime(_FieldError):
    """A run cannot begin at the requested time. `pointer` names the field (RFC 6901)."""

    code = "impossible_time"


class ArtifactNotFound(UsageError):
    """The run has no file of that name and version."""

    code = "artifact_not_found"


class ThreadNotFound(UsageError):
    """The tenant has no thread of this id."""

    code = "thread_not_found"


class ThreadBusy(UsageError):
    """A run of the thread has not ended; wait for its end, or send another `on_busy_thread`."""

    code = "thread_busy"


class RunInBatch(UsageError):
    """The run belongs to a batch that has not ended; cancel the batch, or wait for its end."""

    code = "run_in_batch"


class BatchNotFound(UsageError):
    """The tenant has no batch of this id."""

    code = "batch_not_found"


class BatchEnded(UsageError):
    """The batch has ended, so it accepts no more requests of this kind."""

    code = "batch_ended"


class BatchNotFinished(UsageError):
    """The request needs a batch that has ended; wait for its end, or cancel it."""

    code = "batch_not_finished"


class InvalidItems(UsageError):
    """Items of a batch are invalid, so nothing was accepted.

    `problems` are the first of them, each with `line`, `code` and `detail`.
    """

    code = "invalid_items"

    def __init__(self, message: str, *, problems: Sequence[JsonObject] = (), **data: Any) -> None:
        super().__init__(message, problems=tuple(problems), **data)
        self.problems = tuple(problems)


class FileNotFound(UsageError):
    """The tenant has no uploaded file of this id; for a new batch it is `invalid_items`."""

    code = "file_not_found"


class FileTooLarge(UsageError):
    """An uploaded file has more bytes than the limit."""

    code = "file_too_large"


class EndpointNotFound(UsageError):
    """The tenant has no registered webhook of this id."""

    code = "webhook_not_found"


class DeliveryNotFound(UsageError):
    """There is no event of this id that webhooks can receive."""

    code = "delivery_not_found"


class TeamNotFound(UsageError):
    """There is no registered team of this name or id."""

    code = "team_not_found"


class TeamVersionNotFound(UsageError):
    """The team has no such version or alias."""

    code = "team_version_not_found"


class TeamDeleted(UsageError):
    """The team that this Idempotency-Key was used for has been deleted; use a new key."""

    code = "team_deleted"


class TeamNameTaken(UsageError):
    """Another team has this name; choose another one, or add a version to that team."""

    code = "team_name_taken"


class TeamReadOnly(UsageError):
    """The team is in the operator's file, so it cannot be changed over HTTP."""

    code = "team_read_only"


class TooManyTeams(UsageError):
    """The maximum number of teams, versions or aliases, or of bytes of their index, is reached."""

    code = "too_many_teams"


class TooManyEndpoints(UsageError):
    """The tenant has the maximum number of registered webhooks."""

    code = "too_many_webhooks"


class PreconditionFailed(UsageError):
    """`If-Match` is not the current ETag: read the resource again, then repeat the change."""

    code = "precondition_failed"


class DestinationRefused(_FieldError):
    """A URL from input leads to a host, port or scheme that is not allowed.

    `pointer` names the field if the URL is part of a request (RFC 6901).
    """

    code = "destination_refused"


class RunError(TeamrunError):
    """A run failed."""

    code = "run_failed"


class ModelError(RunError):
    """A model call failed; `retryable` is true if the same call might succeed later."""

    code = "model_error"

    def __init__(
        self, message: str, *, status_code: int | None = None, retryable: bool = False, **data: Any
    ) -> None:
        super().__init__(message, status_code=status_code, retryable=retryable, **data)
        self.status_code = status_code
        self.retryable = retryable


class CircuitOpen(ModelError):
    """A model call was not made, because the server of its profile has failed repeatedly."""

    code = "model_circuit_open"


class UnfitOutput(ModelError):
    """No answer of a model fits the `output_schema` of its agent, repairs included.

    `text` is the last answer; `problems` are the places that do not fit, each with `pointer` and
    `detail`.
    """

    code = "output_schema"

    def __init__(
        self, message: str, *, text: str, problems: Sequence[JsonObject], **data: Any
    ) -> None:
        own: JsonObject = {"retryable": True, **data, "text": text, "problems": [*problems]}
        super().__init__(message, **own)
        self.text = text
        self.problems = problems


class ToolError(RunError):
    """A tool failed; the text is given to the model as the result of the call."""

    code = "tool_error"


class InvalidArguments(ToolError, ValueError):
    """The arguments of a call do not match the tool's schema; the model can correct them."""

    code = "invalid_arguments"


class ToolTimeout(ToolError):
    """A call took longer than the tool's timeout, which is set with `timeout`."""

    code = "tool_timeout"


class McpServerError(ToolError):
    """An MCP server cannot be started or reached, or does not do what it is asked.

    Inside a call, the model receives the text. If the tools cannot be listed, the run fails.
    """

    code = "mcp_server_failed"


class NotApproved(ToolError):
    """A person rejected the call, or did not answer in time; the model receives the reason."""

    code = "not_approved"


class FatalToolError(RunError):
    """A tool's failure that ends the run; raise `ToolError` instead to inform the model."""

    code = "tool_failed"


class UnknownOutcome(FatalToolError):
    """A worker was lost during a call with side effects; it is unknown whether it took effect."""

    code = "outcome_unknown"


class AgentFailed(RunError):
    """A custom agent raised an exception."""

    code = "agent_failed"


class SessionLost(FatalToolError):
    """A tool's session, such as an open page, was in a worker that has lost the run."""

    code = "session_lost"


class ThreadMismatch(RunError):
    """The state of a thread does not fit the team of a run; begin another thread."""

    code = "thread_mismatch"


class Unanswered(RunError):
    """A question expired without an answer; set `default_answer` to continue without one."""

    code = "unanswered"


class Diverged(RunError):
    """Replay reached a state in which the next recorded call is not pending."""

    code = "diverged"


class Runaway(RunError):
    """A run kept its event loop busy without awaiting a call."""

    code = "runaway"


class OutsideCall(RunError):
    """Code of a run used a timer, thread, socket or process; only calls may, such as tools."""

    code = "outside_call"


class Unrecordable(RunError, ValueError):
    """A call returned a value that is too large, too deep or not JSON, so the call failed."""

    code = "unrecordable"


class EngineFault(RunError):
    """The engine itself failed while it executed the run: a defect, which its log describes."""

    code = "engine_fault"


class StorageError(TeamrunError):
    """Object storage refused a request, or answered in an unexpected way."""

    code = "storage"


class NotFound(StorageError):
    """There is no object under that key."""

    code = "not_found"


class InvalidKey(StorageError):
    """A key or prefix is invalid: a segment is empty, a dot, or has a forbidden character."""

    code = "invalid_key"


class UnusableStore(StorageError):
    """A store cannot store runs: it does not exist, or lacks writes that fail if a key exists."""

    code = "unusable_store"


class ObjectChanged(StorageError):
    """An object that others write was replaced while it was read; read it again."""

    code = "object_changed"


class UnreadableEntry(StorageError):
    """The log of a run cannot be read, so nothing is written to it.

    An entry is damaged, missing, or of a newer release: `entry` is the number of the first one that
    cannot be read, and `key` its object, below the store's root.
    """

    code = "unreadable_entry"

    def __init__(self, message: str, *, run_id: str, entry: int, key: str, **data: Any) -> None:
        super().__init__(message, run_id=run_id, entry=entry, key=key, **data)
        self.run_id, self.entry, self.key = run_id, entry, key


class DamagedBlob(StorageError):
    """Stored bytes are missing, or differ in size or digest from what the log recorded.

    `key` is the object, below the store's root.
    """

    code = "damaged_blob"

    def __init__(self, message: str, *, key: str, **data: Any) -> None:
        super().__init__(message, key=key, **data)
        self.key = key


class Unavailable(StorageError):
    """Storage did not respond, or reported a transient failure; the call may be retried."""

    code = "unavailable"


class DeliveryError(TeamrunError):
    """A queue or a webhook receiver did not accept a message."""

    code = "delivery"
