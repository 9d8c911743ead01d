"""Everything a developer types: run, test, soak, check, lock, package.

Needs Python 3.11 and nothing else; the first call makes `.venv` from the hash-checked locks, later
ones start at once and work offline.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 (the message for older versions)
    sys.exit(f"Teamrun needs Python 3.11 or newer, {sys.executable} is {sys.version.split()[0]}")

import argparse
import subprocess
import tomllib
from collections.abc import Sequence

from dev_environment import (
    AZURE,
    CHECKERS,
    CLOUDS,
    DEPLOY,
    GENERATORS,
    INTEROP,
    ROOT,
    SERVICE,
    TESTS,
    VALKEY,
    Environment,
    Failed,
)
from dev_example import run_example

EPILOG = """examples:
  python3 scripts/dev.py run            the service and one run of the example; Ctrl-C ends it
  python3 scripts/dev.py run --once     the same, and end with the run
  python3 scripts/dev.py test --fast    in process only, under three minutes
  python3 scripts/dev.py test tests/unit/cli -k lock
"""

# For tests that start processes of their own and mostly wait for them; `tests/conftest.py` says
# which of them share processes. A timeout ends the test and not the process, because pytest-xdist
# waits for ever for the tests that a lost process had been given. It is long: a busy machine is no
# failure.
IN_TWO = ("-n", "2", "--dist=loadscope", "-o", "timeout_method=signal", "-o", "timeout=240")

# Only for tests in process; the others measure times and share servers. A worker of pytest-xdist
# that a timeout ends (60 s) prints no stack, so it is printed shortly before.
PARALLEL = ("-n", "auto", "--maxprocesses=4", "--dist=worksteal", "-o", "faulthandler_timeout=55")


PASSED_ON = ("test", "soak", "package")
"""The commands whose further arguments are for the program that they call."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command of the first argument; returns its exit status."""
    parser = make_parser()
    options, rest = parser.parse_known_args(arguments)
    if options.command is None:
        parser.print_help(sys.stderr)
        return 2
    if rest and options.command not in PASSED_ON:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    try:
        return COMMANDS[options.command](options, rest)
    except Failed as error:
        print(f"dev.py: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def make_parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="dev.py",
        description="Run, test, soak, check, lock and package Teamrun.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command")
    run = commands.add_parser("run", help="start everything and run the example")
    run.add_argument("--once", action="store_true", help="end with the run: 0, or 1 if it failed")
    run.add_argument("--task", help="another task for the example's team")
    run.add_argument("--port", type=int, help="the port of the API [8080, else a free one]")
    test = commands.add_parser("test", help="run the tests; more arguments go to pytest")
    test.add_argument("--fast", action="store_true", help="in process only")
    commands.add_parser(
        "soak", add_help=False, help="every fault under load; --minutes N [10], --lease S, --only F"
    )
    commands.add_parser("check", help="ruff (format and lint) and pyright")
    commands.add_parser(
        "package",
        add_help=False,
        help="cloud functions: --platform aws or azure, --team FOLDER; more with --help",
    )
    lock = commands.add_parser("lock", help="renew the lock files; needs uv")
    lock.add_argument("--upgrade", action="store_true", help="take newer versions, too")
    return parser


def _run(options: argparse.Namespace, _: list[str]) -> int:
    environment = Environment()
    environment.ensure()
    return run_example(environment, once=options.once, task=options.task, port=options.port)


def _test(options: argparse.Namespace, rest: list[str]) -> int:
    environment = Environment()
    environment.ensure(TESTS)
    # A whole run tries every property with more examples.
    profile = f"--hypothesis-profile={'fast' if options.fast else 'full'}"
    pytest = (environment.python, "-m", "pytest", "--durations=10", profile)
    others = "integration or acceptance or node"
    in_process = f"not ({others}) and not benchmark"
    if options.fast:
        return _call(*pytest, *PARALLEL, "-m", in_process, *rest)
    if rest:
        return _call(*pytest, "-m", "not benchmark", *rest)
    statuses = [
        _call(*pytest, *PARALLEL, "-m", in_process),
        _call(*pytest, *IN_TWO, "-m", f"({others}) and not benchmark"),
    ]
    return max(map(abs, statuses))  # negative: ended by a signal


def _soak(_: argparse.Namespace, rest: list[str]) -> int:
    environment = Environment()
    environment.ensure(TESTS)
    return _call(environment.python, "-m", "tests.support.soak", *rest)


def _check(_: argparse.Namespace, __: list[str]) -> int:
    environment = Environment()
    environment.ensure(TESTS, CHECKERS)
    steps = (
        ("ruff", "format", "--check", "."),
        ("ruff", "check", "."),
        ("pyright", "--pythonpath", str(environment.python)),
    )
    statuses = [_call(environment.python, "-m", *step) for step in steps]
    return max(map(abs, statuses))  # negative: ended by a signal


def _package(_: argparse.Namespace, rest: list[str]) -> int:
    environment = Environment()
    environment.ensure()
    return _call(environment.python, ROOT / "scripts" / "package_functions.py", *rest)


def _lock(options: argparse.Namespace, _: list[str]) -> int:
    environment = Environment()
    uv = environment.uv()
    if uv is None:
        raise Failed("`lock` needs uv: pip install uv")
    compile_ = (
        *(uv, "pip", "compile", "--quiet", "--universal", "--generate-hashes"),
        *("--python-version", "3.11", "--no-header", "--no-annotate", "--no-emit-index-url"),
        *(("--upgrade",) if options.upgrade else ()),
    )
    service = _extras("api", "worker", "cli", "redis", "s3", "openai")
    # Clients that no example uses are installed with the tests, which use them all.
    clouds = _extras("azure", "azure-queue", "bedrock", "aws", "anthropic", "google", "mcp", "otel")
    tests = (*clouds, "--group", "test", "-c", SERVICE, "-c", CLOUDS)
    functions = (*_extras("azure-functions", "openai"), "-c", SERVICE, "-c", TESTS)
    checkers = ("--group", "check", "-c", SERVICE, "-c", TESTS)
    status = _call(*compile_, "pyproject.toml", *service, "-o", SERVICE)
    status = status or _call(*compile_, "-", "-c", SERVICE, "-o", VALKEY, stdin=_embedded())
    status = status or _call(*compile_, "pyproject.toml", *clouds, "-c", SERVICE, "-o", CLOUDS)
    status = status or _call(*compile_, "pyproject.toml", *tests, "-o", TESTS)
    status = status or _call(*compile_, "pyproject.toml", *functions, "-o", AZURE)
    status = status or _call(*compile_, "--group", "generators", "-o", GENERATORS)
    status = status or _call(*compile_, "--group", "deploy", "-o", DEPLOY)
    status = status or _call(*compile_, "--group", "interop", "-o", INTEROP)
    return status or _call(*compile_, *checkers, "-o", CHECKERS)


def _extras(*names: str) -> list[str]:
    return [word for name in names for word in ("--extra", name)]


def _embedded() -> str:
    with (ROOT / "pyproject.toml").open("rb") as file:
        return "\n".join(tomllib.load(file)["project"]["optional-dependencies"]["embedded"])


def _call(*command: object, stdin: str | None = None) -> int:
    words = [str(part) for part in command]
    return subprocess.run(words, cwd=ROOT, input=stdin, text=True, check=False).returncode


COMMANDS = {
    "run": _run,
    "test": _test,
    "soak": _soak,
    "check": _check,
    "lock": _lock,
    "package": _package,
}


if __name__ == "__main__":
    sys.exit(main())
