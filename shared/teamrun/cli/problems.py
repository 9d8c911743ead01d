"""Problem details of the HTTP API (RFC 9457) as errors."""

import httpx2
from pydantic import BaseModel, TypeAdapter, ValidationError

from teamrun.errors import (
    RunEnded,
    RunNotFound,
    StaleAction,
    TeamrunError,
    Unavailable,
    UnfitAnswer,
    UsageError,
)

__all__ = ["raise_problem"]


class _FieldError(BaseModel):
    pointer: str | None = None
    parameter: str | None = None
    header: str | None = None
    detail: str = ""

    @property
    def place(self) -> str:
        """The location in the request."""
        return self.pointer or self.parameter or self.header or "the request"


class _Problem(BaseModel):
    title: str = ""
    detail: str = ""
    code: str = "error"
    errors: list[_FieldError] = []

    def __str__(self) -> str:
        told = self.detail or self.title or self.code
        if len(self.errors) == 1 and self.errors[0].detail in told:
            place = self.errors[0].place
            return told if told.startswith(place) else f"{place}: {told}"
        return told + "".join(f"\n  {fault.place}: {fault.detail}" for fault in self.errors)


_problem: TypeAdapter[_Problem] = TypeAdapter(_Problem)


def raise_problem(response: httpx2.Response) -> None:
    """Raise the problem that a response reports, if it is an error.

    Raises:
        TeamrunError: It is one; the class fits the code and the status.
    """
    if not response.is_error:
        return
    code = ""
    try:
        problem = _problem.validate_json(response.content)
        text, code = str(problem), problem.code
    except ValidationError:
        text = f"HTTP {response.status_code}: {response.text[:200]}"
    raise _kind(response.status_code, code)(text, status_code=response.status_code)


_KINDS: dict[str, type[TeamrunError]] = {
    kind.code: kind for kind in (RunEnded, StaleAction, UnfitAnswer)
}


def _kind(status: int, code: str) -> type[TeamrunError]:
    if status >= 500:
        return Unavailable
    return RunNotFound if status == 404 else _KINDS.get(code, UsageError)
