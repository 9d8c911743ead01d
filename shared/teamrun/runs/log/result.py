"""The result of an ended run as a document."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from teamrun.core.tolerance import OPEN
from teamrun.json_types import JsonObject
from teamrun.runs.log.entries import ArtifactRecord, ErrorRecord
from teamrun.runs.log.output import Output
from teamrun.runs.log.status import RunStatus
from teamrun.runs.log.usage import RunUsage

__all__ = ["RunResult"]


class RunResult(BaseModel):
    """The full result of a finished run; the same document as `result.json` beside its log."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    run_id: str
    status: Annotated[RunStatus, OPEN]
    stop_reason: str | None = None
    stop_code: str | None = None
    output: Output | None = None
    error: ErrorRecord | None = None
    usage: RunUsage = Field(default_factory=RunUsage)
    scripted: bool = False
    """A script answered at least one model call, so the output is not a model's work."""
    finished_at: datetime
    artifacts: list[ArtifactRecord] = []
    messages: list[JsonObject] = []
