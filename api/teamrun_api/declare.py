"""Declarations of the requests and responses of routes, for the OpenAPI document."""

from collections.abc import Mapping
from http import HTTPStatus

from pydantic import BaseModel

from teamrun.errors import TeamrunError, Unavailable
from teamrun.json_types import JsonObject
from teamrun_api import faults
from teamrun_api.problems import MEDIA_TYPE, status_of, title_of

__all__ = [
    "BODY",
    "IDEMPOTENCY_KEY",
    "IF_MATCH",
    "IF_MATCH_OR_ANY",
    "IF_NONE_MATCH",
    "LAST_EVENT_ID",
    "OPEN",
    "PREFER",
    "TRACEPARENT",
    "Responses",
    "answer",
    "content",
    "linked",
    "problem_examples",
    "problems",
    "takes",
    "takes_bytes",
]

_RENAMED = {
    413: "Content Too Large",
    416: "Range Not Satisfiable",
    422: "Unprocessable Content",
}
"""What RFC 9110 calls what Python called otherwise before 3.13."""

Responses = dict[int | str, JsonObject]

BODY = (faults.InvalidJson, faults.InvalidBody, faults.BodyTooLarge, faults.UnsupportedMediaType)
"""Errors of every operation with a body."""

OPEN = (faults.InvalidParameter, faults.HostNotAllowed)
"""Errors of operations that need no key."""

_KEYED = (*OPEN, faults.Unauthenticated, faults.MissingScope, Unavailable)

_RUN_LINKS = (
    "getRun",
    "readRunEvents",
    "getRunResult",
    "listRunArtifacts",
    "cancelRun",
    "answerRun",
    "speakToRun",
    "pauseRun",
    "resumeRun",
    "retryRun",
    "forkRun",
)
"""The operations that the id of a run leads to."""

_EXAMPLE = "#/components/examples/{}"

_HEADERS = {
    "Content-Disposition": ("Files are downloads.", 'attachment; filename="chart.png"'),
    "ETag": ("The state of the resource, for `If-None-Match`.", '"r7"'),
    "Idempotency-Replayed": ("Set if the key was used for the same request before.", "true"),
    "Location": ("The URL of what was created.", "/v1/runs/run_01jd8v3m7q"),
    "Preference-Applied": (
        "The longest time that the server waited before it answered.",
        "wait=20",
    ),
    "Retry-After": ("How many seconds to wait before the next request.", "1"),
}


def _header_parameter(name: str, description: str, schema: JsonObject) -> JsonObject:
    return {
        "name": name,
        "in": "header",
        "required": False,
        "description": description,
        "schema": {"type": "string", **schema},
    }


IDEMPOTENCY_KEY = _header_parameter(
    "Idempotency-Key",
    "Makes the request safe to repeat: the same key with the same body is the same run.",
    {"pattern": "^[ -~]{1,255}$", "examples": ["order-4711"]},
)
TRACEPARENT = _header_parameter(
    "traceparent",
    "W3C Trace Context: the client's span, which contains the run's. An invalid one is ignored.",
    {"examples": ["00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"]},
)
PREFER = _header_parameter(
    "Prefer",
    "RFC 7240; with `wait=20` the server waits up to 20 seconds before it answers.",
    {"examples": ["wait=20"]},
)
IF_NONE_MATCH = _header_parameter(
    "If-None-Match",
    "An `ETag`; if the resource has not changed since, the answer is 304.",
    {"examples": ['"r7"']},
)
IF_MATCH = _header_parameter(
    "If-Match",
    "The `ETag` of the resource that the change is based on; `*` for any. Otherwise 428 or 412.",
    {"examples": ['"v3"']},
)
IF_MATCH_OR_ANY = _header_parameter(
    "If-Match",
    "The `ETag` of the resource that the change is based on; if it has changed since, the answer"
    " is 412. Without it, any.",
    {"examples": ['"v3"']},
)
LAST_EVENT_ID = _header_parameter(
    "Last-Event-ID",
    "Like `after`, and takes precedence; browsers send it when they reconnect.",
    {"examples": ["run_01jd8v3m7q-12"]},
)


def takes(model: type[BaseModel], *examples: str, required: bool = True) -> JsonObject:
    """The request body of an operation; each example is one of `examples.EXAMPLES`."""
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    media = {"schema": schema, "examples": _shown(*examples)}
    return {"required": required, "content": {"application/json": media}}


def takes_bytes(example: str) -> JsonObject:
    """The request body of an operation that takes a file."""
    schema = {"type": "string", "format": "binary"}
    media = {"schema": schema, "examples": _shown(example)}
    return {"required": True, "content": {"application/octet-stream": media}}


def answer(description: str, model: type[BaseModel], example: str, *headers: str) -> JsonObject:
    """A JSON answer of an operation."""
    return {
        "model": model,
        "description": description,
        "content": {"application/json": {"examples": _shown(example)}},
        **_headers(headers),
    }


def linked(response: JsonObject) -> JsonObject:
    """A response with a run, and links to the operations that take its id."""
    parameters = {"run_id": "$response.body#/id"}
    links = {name: {"operationId": name, "parameters": parameters} for name in _RUN_LINKS}
    return {**response, "links": links}


def content(
    description: str,
    media: Mapping[str, tuple[JsonObject, str]],
    *headers: str,
) -> JsonObject:
    """An answer of other media types, each with its schema and the name of its example."""
    return {
        "description": description,
        "content": {
            name: {"schema": schema, "examples": _shown(example)}
            for name, (schema, example) in media.items()
        },
        **_headers(headers),
    }


def problems(*kinds: type[TeamrunError], keyed: bool = True) -> Responses:
    """The errors of an operation by status, beside those that every operation has.

    Args:
        kinds: The operation's own.
        keyed: Whether it needs a key.
    """
    found: dict[int, dict[str, type[TeamrunError]]] = {}
    for kind in (*kinds, *(_KEYED if keyed else OPEN)):
        found.setdefault(status_of(kind), {})[kind.code] = kind
    return {status: _problem(status, found[status]) for status in sorted(found)}


def _shown(*examples: str) -> JsonObject:
    names = ["example"] if len(examples) == 1 else examples
    return {
        name: {"$ref": _EXAMPLE.format(example)}
        for name, example in zip(names, examples, strict=True)
    }


def problem_examples() -> JsonObject:
    """An example of each problem that some operation declares, by its name in the document."""
    return {
        _example_name(kind): {"summary": title_of(kind), "value": _example(kind)}
        for kind in sorted(_all_kinds(TeamrunError), key=_example_name)
    }


def _example_name(kind: type[TeamrunError]) -> str:
    """The name of a problem's example in the document."""
    return f"Problem.{kind.code}"


def _all_kinds(kind: type[TeamrunError]) -> set[type[TeamrunError]]:
    return {kind}.union(*(_all_kinds(child) for child in kind.__subclasses__()))


def _problem(status: int, kinds: Mapping[str, type[TeamrunError]]) -> JsonObject:
    names = {code: _example_name(kind) for code, kind in sorted(kinds.items())}
    media = {
        "schema": {"$ref": "#/components/schemas/Problem"},
        "examples": {code: {"$ref": _EXAMPLE.format(name)} for code, name in names.items()},
    }
    headers = ("Retry-After",) if status in {409, 503} else ()
    return {
        "description": _RENAMED.get(status) or HTTPStatus(status).phrase,
        "content": {MEDIA_TYPE: media},
        **_headers(headers),
    }


def _example(kind: type[TeamrunError]) -> JsonObject:
    return {
        "type": f"urn:teamrun:problem:{kind.code}",
        "title": title_of(kind),
        "status": status_of(kind),
        "detail": f"{title_of(kind)}.",
        "code": kind.code,
        "request_id": "req_3f0c9a51d2b84e6f90a1b2c3",
        "errors": [],
    }


def _headers(names: tuple[str, ...]) -> JsonObject:
    if not names:
        return {}
    return {
        "headers": {
            name: {
                "description": _HEADERS[name][0],
                "schema": {"type": "string"},
                "example": _HEADERS[name][1],
            }
            for name in names
        }
    }
