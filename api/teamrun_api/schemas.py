"""Bodies of requests that belong to the HTTP API alone; those of runs are in `teamrun.runs`."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from teamrun.batches.spec import BatchLimits
from teamrun.json_types import JsonObject
from teamrun.runs.log.entries import CancelMode
from teamrun.runs.log.limits import Limits
from teamrun.runs.service.requests import ONE_TEAM

__all__ = [
    "BatchCancelRequest",
    "BatchRetryRequest",
    "CancelRequest",
    "EmptyRequest",
    "PauseRequest",
    "ResumeRequest",
    "ValidateRequest",
]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CancelRequest(_Body):
    """The body of `POST /v1/runs/{run_id}/cancel`; all fields are optional."""

    mode: CancelMode = "now"
    """With `graceful` no more calls start and those in progress complete; `now` interrupts them."""
    reason: str | None = Field(default=None, max_length=512, examples=["No longer needed."])
    """The reason, which becomes the run's `stop_reason`."""


class PauseRequest(_Body):
    """The body of `POST /v1/runs/{run_id}/pause`: an empty object, or none."""


class EmptyRequest(_Body):
    """An empty object, or none."""


class BatchCancelRequest(_Body):
    """The body of `POST /v1/batches/{batch_id}/cancel`; the field is optional."""

    reason: str | None = Field(default=None, max_length=512, examples=["No longer needed."])
    """The reason, which becomes the batch's `stop_reason`."""


class BatchRetryRequest(_Body):
    """The body of `POST /v1/batches/{batch_id}/retry-failed`; the field is optional."""

    limits: BatchLimits | None = None
    """Limits of the batch to change; the others stay as they are, and null removes one."""


class ResumeRequest(_Body):
    """The body of `POST /v1/runs/{run_id}/resume`; all fields are optional."""

    limits: Limits | None = None
    """Limits to change; the others stay as they are."""
    from_: Literal["here", "start"] = Field(default="here", alias="from")
    """`start` begins again without the log; only for a run that has `diverged` from it."""


class ValidateRequest(_Body):
    """The body of `POST /v1/teams:validate`: exactly one of the two."""

    model_config = ConfigDict(json_schema_extra={"oneOf": ONE_TEAM})

    team: str | None = Field(default=None, min_length=1, max_length=256, examples=["analysts"])
    """The name of a registered team."""
    team_spec: JsonObject | None = None
    """A definition."""

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.team is None) == (self.team_spec is None):
            raise ValueError("give exactly one of `team` and `team_spec`")
        return self
