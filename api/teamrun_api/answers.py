"""Responses that several routes return."""

from collections.abc import Mapping

from pydantic import BaseModel
from starlette.responses import Response

from teamrun.runs.log.status import TERMINAL
from teamrun.runs.service.resources import Run
from teamrun_api.conditional import revision_tag
from teamrun_api.context import Call

__all__ = ["has_ended", "json_answer", "not_modified", "rooted", "run_answer"]

_PRIVATE = "private, no-cache"


def json_answer(
    model: BaseModel, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """A model as JSON, serialized once; it is ours and needs no second validation."""
    return Response(
        model.model_dump_json(by_alias=True),
        status_code=status,
        media_type="application/json",
        headers={"Cache-Control": _PRIVATE, **(headers or {})},
    )


def run_answer(
    call: Call, run: Run, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """A run with its entity tag."""
    tag = {"ETag": revision_tag(run.revision)}
    return json_answer(rooted(call, run), status=status, headers={**tag, **(headers or {})})


def rooted(call: Call, run: Run) -> Run:
    """A run whose URLs begin with the path under which a proxy serves the API."""
    if not call.api.settings.root_path:
        return run
    urls = {name: call.link(url) for name, url in run.urls.items()}
    return run.model_copy(update={"urls": urls})


def not_modified(tag: str, *, headers: Mapping[str, str] | None = None) -> Response:
    """304: the client's copy is current."""
    return Response(
        status_code=304, headers={"ETag": tag, "Cache-Control": _PRIVATE, **(headers or {})}
    )


def has_ended(run: Run) -> bool:
    """Whether the status is final, so that no further event follows."""
    return run.status in TERMINAL
