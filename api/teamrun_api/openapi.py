"""The OpenAPI 3.1 document, finished from what FastAPI makes of the routes.

`python -m teamrun_api.openapi` prints it; `docs/reference/openapi.json` is that output.
"""

import json
import sys
from collections.abc import Iterable, Iterator

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.routing import BaseRoute

from teamrun.batches.requests import BatchRequest
from teamrun.batches.resources import BatchEventPage
from teamrun.catalog.requests import AliasRequest, TeamPatch, TeamRequest, VersionRequest
from teamrun.json_types import JsonObject
from teamrun.resources import Problem
from teamrun.runs.log.spec import InputMessage
from teamrun.runs.service.requests import Answer, ForkRequest, RetryRequest, RunRequest
from teamrun.runs.service.resources import EventPage
from teamrun.threads.requests import ThreadPatch, ThreadRequest
from teamrun.webhooks.requests import (
    RedeliverRequest,
    RotateSecretRequest,
    TestRequest,
    WebhookPatch,
    WebhookRequest,
)
from teamrun_api.declare import problem_examples
from teamrun_api.examples import EXAMPLES
from teamrun_api.openapi_schemas import plain, schemas
from teamrun_api.schemas import (
    BatchCancelRequest,
    BatchRetryRequest,
    CancelRequest,
    EmptyRequest,
    PauseRequest,
    ResumeRequest,
    ValidateRequest,
)

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
    {"name": "batches", "description": "Many runs of a team as one object."},
    {"name": "files", "description": "Files with the items of batches."},
    {"name": "threads", "description": "Conversations that runs continue."},
    {"name": "teams", "description": "Registered teams with their versions, and definitions."},
    {
        "name": "webhooks",
        "description": "Signed requests that report the events of runs.",
    },
    {"name": "system", "description": "Probes, metrics, and information on the server."},
]

_BODIES: tuple[type[BaseModel], ...] = (
    RunRequest,
    CancelRequest,
    Answer,
    InputMessage,
    PauseRequest,
    ResumeRequest,
    ForkRequest,
    RetryRequest,
    BatchRequest,
    BatchCancelRequest,
    BatchRetryRequest,
    EmptyRequest,
    ValidateRequest,
    TeamRequest,
    TeamPatch,
    VersionRequest,
    AliasRequest,
    ThreadRequest,
    ThreadPatch,
    RotateSecretRequest,
    WebhookRequest,
    WebhookPatch,
    TestRequest,
    RedeliverRequest,
)


def document(app: FastAPI, routes: Iterable[BaseRoute]) -> JsonObject:
    """The document of an application with `routes`."""
    made = get_openapi(
        title=app.title,
        version=app.version,
        description=DESCRIPTION,
        routes=app.routes,
        servers=app.servers,
        tags=_TAGS,
    )
    answers = _answers(routes)
    for operation in _operations(made):
        _drop_default_errors(operation)
        _simplify_parameters(operation)
        if "security" in operation:
            operation["security"].append({})  # a server without keys serves its own machine
    made["components"]["schemas"] = schemas(
        requests=_BODIES, answers=[*answers.values(), EventPage, BatchEventPage, Problem]
    )
    # Here and not at the routes: FastAPI drops nulls.
    shown = {
        name: {"value": _whole(answers[name], value) if name in answers else value}
        for name, value in EXAMPLES.items()
    }
    made["components"]["examples"] = shown | _used(made, problem_examples())
    return made


def render(made: JsonObject) -> str:
    """The document as it is committed."""
    return json.dumps(made, indent=2, ensure_ascii=False) + "\n"


def _answers(routes: Iterable[BaseRoute]) -> dict[str, type[BaseModel]]:
    """The models of JSON answers, by the name of their example."""
    found: dict[str, type[BaseModel]] = {}
    for route in routes:
        for response in route.responses.values() if isinstance(route, APIRoute) else ():
            if "model" in response:
                for shown in response["content"]["application/json"]["examples"].values():
                    found[shown["$ref"].rpartition("/")[2]] = response["model"]
    return found


def _whole(model: type[BaseModel], value: JsonObject) -> JsonObject:
    """An example of an answer with every field that is sent."""
    return model.model_validate(value).model_dump(mode="json", by_alias=True)


def _simplify_parameters(operation: JsonObject) -> None:
    """A parameter that is not given is absent: there is no null in a query."""
    for parameter in operation.get("parameters", ()):
        schema = parameter["schema"]
        branches = [branch for branch in schema.get("anyOf", ()) if branch != {"type": "null"}]
        if len(branches) == 1:
            schema = {**{key: schema[key] for key in schema if key != "anyOf"}, **branches[0]}
        schema.pop("description", None)  # the parameter itself has it
        parameter["schema"] = plain(schema)


def _used(made: JsonObject, shown: JsonObject) -> JsonObject:
    text = json.dumps(made)
    return {name: example for name, example in shown.items() if f'/examples/{name}"' in text}


def _operations(made: JsonObject) -> Iterator[JsonObject]:
    paths: dict[str, dict[str, JsonObject]] = made.get("paths", {})
    for item in paths.values():
        yield from item.values()


def _drop_default_errors(operation: JsonObject) -> None:
    """Take out the 422 that FastAPI gives to every route with parameters; ours are 400."""
    if "HTTPValidationError" in json.dumps(operation["responses"].get("422")):
        del operation["responses"]["422"]


def main() -> None:
    """Print the document."""
    from teamrun_api.app import described

    sys.stdout.write(render(described()))


if __name__ == "__main__":
    main()
