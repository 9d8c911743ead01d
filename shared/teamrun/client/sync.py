"""`Client`: the API for code without an event loop; `aio.py` has the same for asyncio.

Adding a resource takes a module in `calls/`, and a group and a row here and in `aio.py`.
"""

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar, overload

import httpx2

from teamrun.client.address import Address
from teamrun.client.binding import Group, Method
from teamrun.client.calls import (
    artifacts,
    batch_journeys,
    batches,
    files,
    runs,
    server,
    signals,
    teams,
    threads,
    waiting,
    webhooks,
)
from teamrun.client.exchange import Exchange, http_client
from teamrun.client.requests import (
    Call,
    Download,
    Journey,
    Lines,
    Paged,
    Polled,
    Reply,
    Request,
    Streamed,
)
from teamrun.client.retries import RetryPolicy
from teamrun.client.sync_sender import ItemStream, Pager, Sender

__all__ = [
    "Artifacts",
    "Batches",
    "Client",
    "Files",
    "Runs",
    "Server",
    "Teams",
    "Threads",
    "Webhooks",
]

P = ParamSpec("P")
T = TypeVar("T")


@overload
def bind(call: Callable[P, Request[T]]) -> Method[P, T]: ...
@overload
def bind(call: Callable[P, Paged[T]]) -> Method[P, Pager[T]]: ...
@overload
def bind(call: Callable[P, Streamed[T]]) -> Method[P, ItemStream[T]]: ...
@overload
def bind(call: Callable[P, Lines[T]]) -> Method[P, ItemStream[T]]: ...
@overload
def bind(call: Callable[P, Polled[T]]) -> Method[P, ItemStream[T]]: ...
@overload
def bind(call: Callable[P, Download]) -> Method[P, Path]: ...
@overload
def bind(call: Callable[P, Journey[T]]) -> Method[P, T]: ...
def bind(call: Callable[P, Call]) -> Method[P, Any]:
    """A method that sends the call which `call` makes from its arguments."""
    return Method(call)


class Runs(Group):
    """`client.runs`: submit runs, follow them, and act on them."""

    submit = bind(runs.submit)
    submit_and_wait = bind(waiting.submit_and_wait)
    get = bind(runs.get_run)
    list = bind(runs.list_runs)
    wait = bind(waiting.wait)
    result = bind(runs.result)
    events = bind(runs.events)
    stream = bind(runs.stream)
    answer = bind(signals.answer)
    message = bind(signals.message)
    cancel = bind(signals.cancel)
    pause = bind(signals.pause)
    resume = bind(signals.resume)
    retry = bind(signals.retry)
    fork = bind(signals.fork)
    delete = bind(runs.delete_run)


class Artifacts(Group):
    """`client.artifacts`: the files that the tools of a run have saved."""

    list = bind(artifacts.list_artifacts)
    read = bind(artifacts.read)
    download = bind(artifacts.download)


class Batches(Group):
    """`client.batches`: many runs of one team as one object."""

    submit = bind(batch_journeys.submit)
    submit_file = bind(batch_journeys.submit_file)
    submit_uploaded = bind(batches.submit_uploaded)
    submit_url = bind(batches.submit_url)
    get = bind(batches.get_batch)
    list = bind(batches.list_batches)
    wait = bind(batch_journeys.wait)
    watch = bind(batches.watch)
    events = bind(batches.events)
    stream = bind(batches.stream)
    items = bind(batches.items)
    results = bind(batches.results)
    errors = bind(batches.errors)
    download_results = bind(batches.download_results)
    download_errors = bind(batches.download_errors)
    cancel = bind(batches.cancel)
    pause = bind(batches.pause)
    resume = bind(batches.resume)
    retry_failed = bind(batches.retry_failed)
    delete = bind(batches.delete_batch)


class Files(Group):
    """`client.files`: uploaded files with the items of batches."""

    upload = bind(files.upload)
    list = bind(files.list_files)
    get = bind(files.get_file)
    read = bind(files.read)
    download = bind(files.download)
    delete = bind(files.delete_file)


class Teams(Group):
    """`client.teams`: the registered teams, with versions and aliases."""

    create = bind(teams.create)
    list = bind(teams.list_teams)
    get = bind(teams.get_team)
    update = bind(teams.update)
    delete = bind(teams.delete_team)
    validate = bind(teams.validate)
    add_version = bind(teams.add_version)
    versions = bind(teams.versions)
    get_version = bind(teams.get_version)
    put_alias = bind(teams.put_alias)
    delete_alias = bind(teams.delete_alias)
    diff = bind(teams.diff)
    graph = bind(teams.graph)
    schema = bind(teams.schema)


class Threads(Group):
    """`client.threads`: conversations that runs continue."""

    create = bind(threads.create_thread)
    list = bind(threads.list_threads)
    get = bind(threads.get_thread)
    update = bind(threads.update_thread)
    delete = bind(threads.delete_thread)
    messages = bind(threads.thread_messages)
    runs = bind(threads.thread_runs)
    state = bind(threads.thread_state)


class Webhooks(Group):
    """`client.webhooks`: registered webhooks, and the webhooks of runs."""

    create = bind(webhooks.create)
    list = bind(webhooks.list_webhooks)
    get = bind(webhooks.get)
    update = bind(webhooks.update)
    delete = bind(webhooks.delete)
    rotate_secret = bind(webhooks.rotate_secret)
    test = bind(webhooks.test)
    enable = bind(webhooks.enable)
    deliveries = bind(webhooks.deliveries)
    redeliver = bind(webhooks.redeliver)
    redeliver_since = bind(webhooks.redeliver_since)
    event_types = bind(webhooks.event_types)
    run_secret = bind(webhooks.run_secret)
    rotate_run_secret = bind(webhooks.rotate_run_secret)
    run_deliveries = bind(webhooks.run_deliveries)
    batch_deliveries = bind(webhooks.batch_deliveries)
    redeliver_to_run = bind(webhooks.redeliver_to_run)
    redeliver_to_batch = bind(webhooks.redeliver_to_batch)


class Server(Group):
    """`client.server`: the server itself."""

    info = bind(server.info)
    health = bind(server.health)
    readiness = bind(server.readiness)
    metrics = bind(server.metrics)


class Client:
    """A client of the HTTP API. It can be used by several threads.

    Args:
        base_url: The URL of the API; by default `TEAMRUN_URL`, then `http://127.0.0.1:8080`.
        api_key: Sent as `Authorization: Bearer`; by default `TEAMRUN_API_KEY`. It is sent to this
            API alone: redirects are not followed.
        timeout: The longest time between two pieces of an answer, in seconds.
        retries: When a request is sent again.
        http: An HTTP client to use, for example with a proxy or certificates of your own. It is
            closed with this client.

    Raises:
        UsageError: The URL or the key cannot be used.
    """

    def __init__(
        self,
        base_url: str | None = None,
        *,
        api_key: str | None = None,
        timeout: float = 60.0,
        retries: RetryPolicy | None = None,
        http: httpx2.Client | None = None,
    ) -> None:
        address = Address.of(base_url, api_key)
        self._sender = Sender(
            http or http_client(httpx2.Client, address),
            Exchange(address, timeout),
            retries or RetryPolicy(),
        )
        self.base_url = address.shown
        """The URL of the API, without a password."""
        self.has_api_key = address.api_key is not None
        """Whether requests carry a key."""
        self.runs = Runs(self._sender)
        self.artifacts = Artifacts(self._sender)
        self.batches = Batches(self._sender)
        self.files = Files(self._sender)
        self.teams = Teams(self._sender)
        self.threads = Threads(self._sender)
        self.webhooks = Webhooks(self._sender)
        self.server = Server(self._sender)

    @overload
    def send(self, call: Request[T]) -> T: ...
    @overload
    def send(self, call: Paged[T]) -> Pager[T]: ...
    @overload
    def send(self, call: Streamed[T]) -> ItemStream[T]: ...
    @overload
    def send(self, call: Lines[T]) -> ItemStream[T]: ...
    @overload
    def send(self, call: Polled[T]) -> ItemStream[T]: ...
    @overload
    def send(self, call: Download) -> Path: ...
    @overload
    def send(self, call: Journey[T]) -> T: ...
    def send(self, call: Call) -> Any:
        """Send a call that a function of `teamrun.client.calls` has made."""
        return self._sender.perform(call)

    def reply(self, request: Request[Any]) -> Reply:
        """The answer to a request as it is, with its status, headers and body."""
        return self._sender.reply(request)

    def close(self) -> None:
        """Close the connections."""
        self._sender.close()

    def __enter__(self) -> Self:
        """The client itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the connections."""
        self.close()
