"""What the routes of batches share: parameters, and the answer with a batch."""

from typing import Annotated

from fastapi import Path, Query
from starlette.responses import Response

from teamrun.batches.resources import Batch
from teamrun_api.answers import json_answer
from teamrun_api.conditional import revision_tag
from teamrun_api.context import Call

__all__ = ["RETRY_SOON", "After", "BatchId", "Limit", "batch_answer", "rooted_batch"]

RETRY_SOON = {"Retry-After": "1"}

BatchId = Annotated[
    str, Path(description="The batch's id.", max_length=128, examples=["bat_01jd8v3m7q"])
]
Limit = Annotated[int, Query(ge=1, le=100, description="Maximum number of items on the page.")]
After = Annotated[
    str | None, Query(max_length=256, description="`next_cursor` of the page before.")
]


def batch_answer(
    call: Call, batch: Batch, *, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    """A batch with its entity tag."""
    tag = {"ETag": revision_tag(batch.revision)}
    return json_answer(rooted_batch(call, batch), status=status, headers={**tag, **(headers or {})})


def rooted_batch(call: Call, batch: Batch) -> Batch:
    """A batch whose URLs begin with the path under which a proxy serves the API."""
    if not call.api.settings.root_path:
        return batch
    return batch.model_copy(
        update={"urls": {name: call.link(url) for name, url in batch.urls.items()}}
    )
