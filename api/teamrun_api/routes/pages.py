"""`/`, the description of this server, and `/docs`, the interactive reference.

The pages are part of the package and load nothing from elsewhere; their Content-Security-Policy
enforces it. They contain no secrets, so they need no key.
"""

from functools import cache
from html import escape
from importlib.resources import files

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from teamrun.version import VERSION
from teamrun_api.context import Call
from teamrun_api.dependencies import NoKey
from teamrun_api.faults import RouteNotFound
from teamrun_api.negotiation import choose

__all__ = ["router"]

router = APIRouter(default_response_class=Response, include_in_schema=False)

_TYPES = {
    "docs.html": "text/html; charset=utf-8",
    "docs.js": "text/javascript; charset=utf-8",
    "docs.css": "text/css; charset=utf-8",
}

_HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self';"
    " connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

_INDEX = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Teamrun</title>
<h1>Teamrun {version}</h1>
<p>This server runs teams of LLM agents as durable jobs.
Submit a run with <code>POST {runs}</code>.</p>
<ul>
{links}
</ul>
"""

_LINKS = {
    "docs": ("/docs", "the interactive reference"),
    "openapi": ("/openapi.json", "the OpenAPI document"),
    "runs": ("/v1/runs", "the runs"),
    "teams": ("/v1/teams", "the registered teams"),
    "info": ("/v1/info", "the server and its capabilities"),
    "ready": ("/readyz", "whether requests can be served"),
}


@router.get("/")
async def get_index(call: NoKey) -> Response:
    """A description of this server with links, as JSON, or as a page for a browser."""
    links = {name: call.link(path) for name, (path, _) in _LINKS.items()}
    headers = {**_HEADERS, "Vary": "Accept"}
    if choose(call.header("accept"), ("application/json", "text/html")) == "text/html":
        return Response(_index(call), media_type="text/html", headers=headers)
    return JSONResponse({"name": "teamrun", "version": VERSION, **links}, headers=headers)


def _index(call: Call) -> str:
    items = "\n".join(
        f'<li><a href="{escape(call.link(path))}">{escape(call.link(path))}</a>: {text}'
        for path, text in _LINKS.values()
    )
    return _INDEX.format(version=VERSION, runs=escape(call.link("/v1/runs")), links=items)


@router.get("/docs")
async def get_docs(call: NoKey) -> Response:
    """The interactive reference."""
    return _page("docs.html")


@router.get("/docs/{name}")
async def get_docs_part(call: NoKey, name: str) -> Response:
    """A part of it."""
    if name not in _TYPES:
        raise RouteNotFound(f"There is nothing at '/docs/{name[:80]}'; /docs is the reference.")
    return _page(name)


def _page(name: str) -> Response:
    return Response(_read(name), headers={**_HEADERS, "Content-Type": _TYPES[name]})


@cache
def _read(name: str) -> bytes:
    return files("teamrun_api").joinpath("pages", name).read_bytes()
