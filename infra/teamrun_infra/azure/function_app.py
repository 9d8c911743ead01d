"""The functions as Azure Functions indexes them (programming model v2).

The folder of a deployment has a `function_app.py` that calls `make_function_app`.
Source: https://learn.microsoft.com/en-us/azure/azure-functions/functions-reference-python
"""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote, urlsplit

import azure.functions as func

from teamrun.dispatch.address import read_queue_url
from teamrun.dispatch.queues import RUN_QUEUES, Queue
from teamrun.errors import UsageError
from teamrun_infra.azure.executing import Executing
from teamrun_infra.azure.references import check_references
from teamrun_infra.azure.time_limit import TimeLimit

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["make_function_app"]

_CONNECTION: Final = "AzureWebJobsStorage"
"""The prefix of the settings with the storage account of the queues, and its identity."""
_URL: Final = re.compile(r"(?:[^:/?#]+:)?(?://[^/?#]*)?(?P<path>[^?#]*)(?P<rest>.*)", re.DOTALL)
"""Source: RFC 3986, appendix B"""
_EACH_MINUTE: Final = "0 * * * * *"


def make_function_app(environ: Mapping[str, str]) -> func.AsgiFunctionApp:
    """The HTTP API, a function for each queue and its poison queue, and the timer.

    Nothing is opened before the first invocation.

    Args:
        environ: The variables of the process: the names of the queues come from
            `TEAMRUN_QUEUE_URL`.

    Raises:
        UsageError: `TEAMRUN_QUEUE_URL` is not set, or this or the time limit is invalid.
    """
    url = environ.get("TEAMRUN_QUEUE_URL", "")
    check_references({"TEAMRUN_QUEUE_URL": url})
    if not url:
        raise UsageError(
            "TEAMRUN_QUEUE_URL is not set: write azq://PREFIX?account=NAME into the app settings.",
            setting="queue_url",
        )
    address = read_queue_url(url)
    if address.scheme != "azq":
        raise UsageError(
            "TEAMRUN_QUEUE_URL must be azq://PREFIX?account=NAME for functions on Azure.",
            setting="queue_url",
        )
    # The key of the API, not one of Azure, is what a request is authorized by.
    app = func.AsgiFunctionApp(
        app=_Api(), http_auth_level=func.AuthLevel.ANONYMOUS, function_name="api"
    )
    _make_urls_readable(app.middleware)
    executing = Executing(TimeLimit(environ))
    for queue in RUN_QUEUES:
        _add_queue(app, executing, queue, address.name_of(queue))
    _add_hooks(app, executing, address.name_of(Queue.HOOKS))
    _add_timer(app, executing)
    return app


def _make_urls_readable(middleware: Any) -> None:
    """Let the API answer requests with URLs that the middleware of azure-functions cannot read."""
    handle = middleware.handle_async

    async def handle_readable(request: func.HttpRequest, context: Any = None) -> func.HttpResponse:
        url = _readable(request.url)
        if url != request.url:
            request = func.HttpRequest(
                request.method, url, headers=request.headers, body=request.get_body()
            )
        return await handle(request, context)

    middleware.handle_async = handle_readable


def _readable(url: str) -> str:
    """The URL; without the host if that is invalid or bytes of the path are not UTF-8."""
    try:
        parts = urlsplit(url)
        unquote(parts.path, errors="strict")
        _ = parts.port
    except ValueError:
        found = _URL.fullmatch(url)
        assert found is not None, "each part may be empty"
        # As on other hosts, such bytes become U+FFFD, and nothing has this path.
        return f"https://{quote(unquote(found['path']))}{found['rest']}"
    return url


# The decorators of azure-functions are partly untyped.
def _add_queue(app: Any, executing: Executing, queue: Queue, name: str) -> None:
    @app.function_name(str(queue))
    @app.queue_trigger(arg_name="message", queue_name=name, connection=_CONNECTION)
    async def execute(message: func.QueueMessage) -> None:
        await executing.execute(message, queue=queue)

    # The platform moves a message there after `maxDequeueCount` failures.
    @app.function_name(f"{queue}_poison")
    @app.queue_trigger(arg_name="message", queue_name=f"{name}-poison", connection=_CONNECTION)
    async def give_up(message: func.QueueMessage) -> None:
        await executing.give_up(message, queue=queue)


def _add_hooks(app: Any, executing: Executing, name: str) -> None:
    @app.function_name(str(Queue.HOOKS))
    @app.queue_trigger(arg_name="message", queue_name=name, connection=_CONNECTION)
    async def deliver(message: func.QueueMessage) -> None:
        await executing.deliver(message)


def _add_timer(app: Any, executing: Executing) -> None:
    @app.function_name("upkeep")
    @app.timer_trigger(arg_name="timer", schedule=_EACH_MINUTE)
    async def look_around(timer: func.TimerRequest) -> None:
        await executing.look_around()


class _Api:
    """The ASGI application, imported at the first request.

    The platform scales requests apart from messages, so most instances need only one of the two.
    """

    def __init__(self) -> None:
        self._serving: ASGIApp | None = None

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        if self._serving is None:
            from teamrun_infra.azure.serving import Serving

            self._serving = Serving()
        await self._serving(scope, receive, send)
