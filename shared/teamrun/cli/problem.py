"""Errors on stderr: a line for people, or with `--json` a problem (RFC 9457) in one line."""

import json
import sys
from collections.abc import Mapping, Sequence

from teamrun.errors import TeamrunError
from teamrun.json_types import JsonObject

__all__ = ["print_error", "print_problem", "wants_json"]

_TRUE = frozenset({"1", "true", "t", "yes", "y", "on"})

_FROM_THE_SERVER = ("status", "request_id", "run_id", "batch_id")


def wants_json(arguments: Sequence[str], environ: Mapping[str, str]) -> bool:
    """Whether the command line asks for JSON, also if it cannot be read otherwise."""
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    for option in reversed(options):
        if option in ("--json", "--no-json"):
            return option == "--json"
    return environ.get("TEAMRUN_JSON", "").strip().lower() in _TRUE


def print_error(error: TeamrunError, *, as_json: bool) -> None:
    """Print an error."""
    if not as_json:
        sys.stderr.write(f"teamrun: {error}\n")
        return
    data = error.data
    faults = data.get("errors") or data.get("problems") or ()
    print_problem(
        code=error.code,
        detail=data.get("detail") or error.message,
        **{name: data[name] for name in _FROM_THE_SERVER if data.get(name) is not None},
        errors=[{**fault} for fault in faults],
    )


def print_problem(*, code: str, detail: str, **members: object) -> None:
    """Print a problem as the last line of stderr."""
    problem: JsonObject = {
        "type": f"urn:teamrun:problem:{code}",
        "code": code,
        "detail": detail,
        **members,
    }
    sys.stderr.write(json.dumps(problem, ensure_ascii=False, default=str) + "\n")
