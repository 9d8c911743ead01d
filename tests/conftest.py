"""Every test starts without the user's environment variables, and reaches only this machine.

So no test can call a real model by accident, or use a real key.
"""

import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Callable, Generator
from ipaddress import ip_address
from typing import Any, cast

import pytest
from tests.support.examples import use_profiles
from tests.support.figures import Figures, figures_of

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
    "LLM_",
    "MODEL_",
    "SCRIPTED_",
)

_CLOUDS = ("aws lambda", "azure functions")

use_profiles()

# Pytest and the processes that tests start would compile every module again. Git ignores caches.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell's background job ignores Ctrl-C, and so would every process that a test starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)


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


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # With `--dist=loadgroup`, one process of pytest-xdist runs the tests that share what a module
    # starts, a host of the conformance suite, or what modules of the same group make. Functions
    # start so many processes that the two clouds are tested one after the other.
    for item in items:
        if item.get_closest_marker("xdist_group") is not None:
            continue
        params: dict[str, Any] = getattr(getattr(item, "callspec", None), "params", {})
        group = params.get("deployed") or item.nodeid.partition("::")[0]
        group = "clouds" if group in _CLOUDS else group
        item.add_marker(pytest.mark.xdist_group(group))


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
