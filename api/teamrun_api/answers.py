"""Answers that are made in more than one route."""

from collections.abc import Mapping

from pydantic import BaseModel
from starlette.responses import Response

from teamrun.runs.public import TERMINAL, Run
from teamrun_api.conditional import revision_tag

__all__ = ["has_ended", "json_answer", "not_modified", "run_answer"]

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
    run: Run, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """A run with its entity tag."""
    tag = {"ETag": revision_tag(run.revision)}
    return json_answer(run, status=status, headers={**tag, **(headers or {})})


def not_modified(tag: str, *, headers: Mapping[str, str] | None = None) -> Response:
    """304: what the client has is how it still is."""
    return Response(
        status_code=304, headers={"ETag": tag, "Cache-Control": _PRIVATE, **(headers or {})}
    )


def has_ended(run: Run) -> bool:
    """Whether nothing follows."""
    return run.status in TERMINAL
