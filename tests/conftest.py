"""Every test starts without the user's environment variables, and reaches only this machine.

So no test can call a real model by accident, or use a real key.
"""

import gc
import logging
import os
import signal
import socket
import ssl
import sys
from collections.abc import AsyncGenerator, Callable, Generator
from functools import cache
from importlib import metadata
from ipaddress import ip_address
from typing import Any, cast

import httpcore2
import pytest
from tests.support.examples import use_profiles
from tests.support.figures import Figures, figures_of
from typing_extensions import override

from teamrun.logs import JsonFormatter, TextFormatter

OURS = (
    "TEAMRUN_",
    "OPENAI_",
    "AZURE_",
    "AWS_",
    "ANTHROPIC_",
    "GOOGLE_",
    "GEMINI_",
    "BEDROCK_",
    "OLLAMA_",
    "MISTRAL_",
    "LLM_",
    "MODEL_",
    "SCRIPTED_",
)

_COLLECTED_AFTER = gc.get_threshold()

_CLOUDS = ("aws lambda", "azure functions")
_PACKAGES = (
    "tests/integration/deploy/test_function_packages.py",
    "tests/integration/deploy/test_serverless.py",
)

use_profiles()

# Pytest and the processes that tests start would compile every module again. Git ignores caches.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell's background job ignores Ctrl-C, and so would every process that a test starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, Any, Any]:
    """Modules and tests live until the end: the garbage collector need not look at them."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(autouse=True)
def clean_environ(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(OURS):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def same_logging() -> Generator[None]:
    """Undo what a command or a Celery worker in a test does to the root logger."""
    root = logging.getLogger()
    level = root.level
    yield
    root.setLevel(level)
    for handler in root.handlers[:]:
        if isinstance(handler.formatter, JsonFormatter | TextFormatter):
            root.removeHandler(handler)


@pytest.fixture(autouse=True)
def usual_collection_of_garbage() -> None:
    # The package of functions on AWS Lambda has a higher limit. Sockets that a test left open would
    # be reported in a much later one.
    gc.set_threshold(*_COLLECTED_AFTER)


@pytest.fixture
async def clusters_are_closed() -> AsyncGenerator[None]:
    """Close the workers and services of the test's clusters at its end, also when it fails."""
    # Imported late: most tests need no engine.
    from tests.support.runs import closing_clusters

    async with closing_clusters():
        yield


@pytest.fixture(autouse=True, scope="session")
def loopback_only() -> Generator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex"):
            patch.setattr(socket.socket, name, _guarded(getattr(socket.socket, name)))
        resolve = socket.getaddrinfo

        def resolve_ours(host: Any, *args: Any, **options: Any) -> Any:
            _refuse_unless_ours(host)
            return resolve(host, *args, **options)

        patch.setattr(socket, "getaddrinfo", resolve_ours)
        yield


@pytest.fixture(autouse=True, scope="session")
def read_once() -> Generator[None]:
    """What libraries read from this machine's files again and again is read once.

    The certificates of all authorities take 20 ms per HTTP client, the entry points of all packages
    10 ms per team file.
    """
    make_context, find = httpcore2.default_ssl_context, metadata.entry_points

    @cache
    def made(_: tuple[str | None, ...], trust_env: bool) -> ssl.SSLContext:
        return make_context(_trust_env=trust_env)

    @cache
    def found(_: tuple[str, ...], selected: frozenset[tuple[str, str]]) -> Any:
        return find(**dict(selected))

    def context(*, _trust_env: bool = True) -> ssl.SSLContext:
        named = (os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))
        return made(named, _trust_env)

    def points(**selected: str) -> Any:
        return found(tuple(sys.path), frozenset(selected.items()))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(httpcore2, "default_ssl_context", context)
        patch.setattr(metadata, "entry_points", points)
        yield


def _guarded(connect: Callable[[socket.socket, Any], Any]) -> Callable[[socket.socket, Any], Any]:
    def guarded(self: socket.socket, address: Any) -> Any:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            _refuse_unless_ours(address[0])
        return connect(self, address)

    return guarded


def _refuse_unless_ours(host: Any) -> None:
    name = host.decode("ascii") if isinstance(host, bytes) else host
    if name in (None, "", "localhost", socket.gethostname()):
        return
    try:
        ours = ip_address(name).is_loopback or ip_address(name).is_unspecified
    except ValueError:
        ours = False
    if not ours:
        raise AssertionError(f"a test tried to reach {name!r}; only this machine is open to tests")


@pytest.fixture(scope="session")
def figures(pytestconfig: pytest.Config) -> Figures:
    """Takes lines that are printed at the end of a test run."""
    return figures_of(pytestconfig)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With `--dist=loadscope`, one process runs the tests that share what `_sharing` names."""
    if config.getoption("dist") != "loadscope":
        return None
    from xdist.scheduler import LoadScopeScheduling  # pyright: ignore[reportMissingTypeStubs]

    class Scheduling(LoadScopeScheduling):
        @override
        def _split_scope(self, nodeid: str) -> str:
            return _sharing(nodeid)

    return Scheduling(config, log)


def _sharing(nodeid: str) -> str:
    """What a test shares with others: a host of the conformance suite, packages, or its module.

    Functions start so many processes that the two clouds are tested one after the other.
    """
    module, _, test = nodeid.partition("::")
    if module.startswith("tests/conformance/") and "[" in test:
        host = test.partition("[")[2].rstrip("]").partition("-")[0]
        return "clouds" if host in _CLOUDS else host
    return "packages" if module in _PACKAGES else module


def pytest_sessionfinish(session: pytest.Session) -> None:
    # In a process of pytest-xdist; what it puts here is sent to the process that prints.
    output: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["figures"] = figures_of(session.config).lines


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    sent: dict[str, Any] = getattr(node, "workeroutput", {})  # a process that crashed has none
    figures_of(node.config).add(*sent.get("figures", ()))


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, Any, Any]:
    # Logs of tests contain lone surrogates, which pytest-xdist cannot send.
    return _escaped((yield))


def _escaped(value: Any) -> Any:
    match value:
        case str():
            return value.encode("utf-8", "backslashreplace").decode("utf-8")
        case dict():
            members = cast("dict[str, Any]", value)
            return {name: _escaped(member) for name, member in members.items()}
        case list():
            return [_escaped(item) for item in cast("list[Any]", value)]
        case tuple():
            # The report of a skipped test is a tuple, and pytest accepts nothing else.
            return tuple(_escaped(item) for item in cast("tuple[Any, ...]", value))
        case _:
            return value


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    if lines := figures_of(config).lines:
        terminalreporter.section("figures")
        for line in lines:
            terminalreporter.line(line)
