"""Query parameters: those of a route, and those that FastAPI cannot declare."""

import re

from fastapi.routing import APIRoute
from starlette.requests import Request

from teamrun.components.reading.problems import did_you_mean, listed
from teamrun.json_types import JsonObject
from teamrun_api.faults import InvalidParameter, RequestFault

__all__ = ["METADATA", "check_query", "metadata_of", "wrong_parameter"]

_METADATA = re.compile(r"metadata\[(.{1,64})\]", re.DOTALL)

MAX_PAIRS = 16
MAX_LENGTH = 512

METADATA: JsonObject = {
    "name": "metadata",
    "in": "query",
    "required": False,
    "description": "Only runs with these pairs: `metadata[customer]=42`.",
    "style": "deepObject",
    "explode": True,
    "schema": {
        "type": "object",
        "maxProperties": MAX_PAIRS,
        "propertyNames": {"minLength": 1, "maxLength": 64},
        "additionalProperties": {"type": "string", "maxLength": MAX_LENGTH},
    },
    "examples": {"example": {"value": {"customer": "42"}}},
}


def wrong_parameter(name: str, detail: str, *, code: str = "invalid") -> InvalidParameter:
    """The error for one parameter."""
    return InvalidParameter(
        f"{name}: {detail}", faults=[RequestFault(detail, code, parameter=name)]
    )


def metadata_of(request: Request) -> dict[str, str]:
    """The pairs of `metadata[key]=value`.

    Raises:
        InvalidParameter: There are more than a run can have, or longer ones.
    """
    pairs = {
        match[1]: value
        for name, value in request.query_params.multi_items()
        if (match := _METADATA.fullmatch(name))
    }
    if len(pairs) > MAX_PAIRS:
        raise wrong_parameter("metadata", f"give at most {MAX_PAIRS} pairs")
    if any(len(value) > MAX_LENGTH for value in pairs.values()):
        raise wrong_parameter("metadata", f"a value has at most {MAX_LENGTH} characters")
    return pairs


def check_query(request: Request) -> None:
    """Refuse unknown and repeated parameters.

    A filter that was misspelt, or of which one value was ignored, would answer with other runs.

    Raises:
        InvalidParameter: There is one.
    """
    if not request.scope["query_string"]:
        return
    known = _names_of(request.scope["route"])
    seen = set[str]()
    for name, _ in request.query_params.multi_items():
        kind = "metadata[key]" if _METADATA.fullmatch(name) else name
        if kind not in known:
            raise wrong_parameter(
                name[:64],
                f"unknown parameter; supported here: {listed(known)}." + did_you_mean(name, known),
                code="unknown_parameter",
            )
        if name in seen:
            raise wrong_parameter(
                name[:64], "the parameter is repeated; give it once.", code="repeated_parameter"
            )
        seen.add(name)


def _names_of(route: APIRoute) -> frozenset[str]:
    """The query parameters that a route declares, itself or through its dependencies."""
    declared: list[JsonObject] = (route.openapi_extra or {}).get("parameters", [])
    names = {"metadata[key]" for item in declared if item is METADATA}
    dependants = [route.dependant]
    while dependants:
        dependant = dependants.pop()
        names.update(field.alias for field in dependant.query_params)
        dependants.extend(dependant.dependencies)
    return frozenset(names)
