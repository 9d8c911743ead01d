"""The OpenAPI 3.1 document, finished from what FastAPI makes of the routes.

`python -m teamrun_api.openapi` prints it; `docs/reference/openapi.json` is that output.
"""

import json
import sys
from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from teamrun.runs.lineage import ForkRequest, RetryRequest
from teamrun.runs.public import EventPage
from teamrun.runs.spec import InputMessage, RunRequest
from teamrun.runs.talk import Answer
from teamrun_api.declare import problem_examples
from teamrun_api.examples import EXAMPLES
from teamrun_api.problems import Problem
from teamrun_api.schemas import CancelRequest, PauseRequest, ResumeRequest, ValidateRequest

__all__ = ["document", "render"]

DESCRIPTION = """\
Runs teams of LLM agents as durable jobs: submit a run, get 202 and its id at once, then poll,
follow its events, or wait for its result.

Errors are problems (RFC 9457) with a stable `code`; those of a request name each field at fault.
"""

_TAGS = [
    {
        "name": "runs",
        "description": "Submit, list, read runs; answer, pause, fork, cancel them.",
    },
    {"name": "events", "description": "What happens in a run, in order and without gaps."},
    {"name": "artifacts", "description": "Files that a run has left."},
    {"name": "teams", "description": "Teams that the operator registered, and definitions."},
    {"name": "system", "description": "Probes, metrics, and what the server is."},
]

_REFERENCE = "#/components/schemas/{model}"

_BODIES: tuple[type[BaseModel], ...] = (
    RunRequest,
    CancelRequest,
    Answer,
    InputMessage,
    PauseRequest,
    ResumeRequest,
    ForkRequest,
    RetryRequest,
    ValidateRequest,
)

_INPUT = "-Input"
"""Marks a schema that is read otherwise than it is written."""


def document(app: FastAPI) -> dict[str, Any]:
    """The document of an application."""
    made = get_openapi(
        title=app.title,
        version=app.version,
        description=DESCRIPTION,
        routes=app.routes,
        servers=app.servers,
        tags=_TAGS,
    )
    schemas: dict[str, Any] = made.setdefault("components", {}).setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    _add(schemas, [(EventPage, "serialization"), (Problem, "serialization")])
    _add(schemas, [(model, "validation") for model in _BODIES])
    for operation in _operations(made):
        _drop_default_errors(operation)
        if "security" in operation:
            operation["security"].append({})  # a server without keys serves its own machine
    made["components"]["schemas"] = dict(sorted(schemas.items()))
    # Here and not at the routes: FastAPI drops each null of what it is given.
    shown = {name: {"value": value} for name, value in EXAMPLES.items()}
    made["components"]["examples"] = shown | _used(made, problem_examples())
    return made


def render(made: dict[str, Any]) -> str:
    """The document as it is committed."""
    return json.dumps(made, indent=2, ensure_ascii=False) + "\n"


def _add(schemas: dict[str, Any], models: list[tuple[type[BaseModel], Any]]) -> None:
    """Add the schemas of models; one that is read otherwise than written gets a name of its own."""
    _, made = models_json_schema(models, ref_template=_REFERENCE)
    found: dict[str, Any] = made.get("$defs", {})
    taken = [name for name, schema in found.items() if schemas.get(name, schema) != schema]
    text = json.dumps(found)
    for name in taken:
        reference = _REFERENCE.format(model=name)
        text = text.replace(json.dumps(reference), json.dumps(reference + _INPUT))
    for name, schema in json.loads(text).items():
        schemas[name + _INPUT if name in taken else name] = schema


def _used(made: dict[str, Any], shown: dict[str, Any]) -> dict[str, Any]:
    text = json.dumps(made)
    return {name: example for name, example in shown.items() if f'/examples/{name}"' in text}


def _operations(made: dict[str, Any]) -> Iterator[dict[str, Any]]:
    paths: dict[str, dict[str, dict[str, Any]]] = made.get("paths", {})
    for item in paths.values():
        yield from item.values()


def _drop_default_errors(operation: dict[str, Any]) -> None:
    """Take out the 422 that FastAPI gives to every route with parameters; ours are 400."""
    if "HTTPValidationError" in json.dumps(operation["responses"].get("422")):
        del operation["responses"]["422"]


def main() -> None:
    """Print the document."""
    from teamrun_api.app import described

    sys.stdout.write(render(described()))


if __name__ == "__main__":
    main()
