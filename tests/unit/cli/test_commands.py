"""The surface of the command line; other tests run the commands against a real service."""

import pytest
from tests.support.commands import LEAVES
from typer.core import TyperOption
from typer.testing import CliRunner

from teamrun.cli.app import COMMANDS, app
from teamrun.version import VERSION

COMMAND_OF = LEAVES
OPTIONS = [
    pytest.param(option, id=f"{name}{option.opts[0]}")
    for name, command in COMMAND_OF.items()
    for option in command.params
    if isinstance(option, TyperOption)
]


def test_the_commands_are_those_that_are_promised() -> None:
    names = [
        "serve",
        "api",
        "worker",
        "run",
        "check",
        "submit",
        "watch",
        "runs",
        "result",
        "files",
        "answer",
        "say",
        "pause",
        "resume",
        "cancel",
        "delete",
        "retry",
        "fork",
        "replay",
        "mcp",
        "version",
        "threads create",
        "threads list",
        "threads show",
        "threads messages",
        "threads delete",
        "teams list",
        "teams push",
        "teams show",
        "teams versions",
        "teams diff",
        "teams graph",
        "teams alias",
        "teams delete",
        "batch submit",
        "batch watch",
        "batch list",
        "batch status",
        "batch items",
        "batch results",
        "batch errors",
        "batch retry-failed",
        "batch delete",
        "batch pause",
        "batch resume",
        "batch cancel",
        "webhooks create",
        "webhooks list",
        "webhooks trigger",
        "webhooks listen",
        "webhooks delete",
    ]

    assert list(COMMAND_OF) == names


@pytest.mark.parametrize("option", OPTIONS)
def test_every_flag_has_a_variable(option: TyperOption) -> None:
    assert str(option.envvar).startswith("TEAMRUN_")


@pytest.mark.parametrize("option", OPTIONS)
def test_every_switch_has_its_opposite(option: TyperOption) -> None:
    assert not option.is_flag or any(name.startswith("--no-") for name in option.secondary_opts)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_help_has_an_example_of_its_own_command(name: str) -> None:
    result = CliRunner().invoke(app, [*name.split(), "--help"])

    assert result.exit_code == 0
    assert f"Example: teamrun {name}" in result.output


@pytest.mark.parametrize("arguments", [["fly"], ["watch"], ["runs", "--limit", "0"]])
def test_wrong_use_ends_with_2(arguments: list[str]) -> None:
    assert CliRunner().invoke(app, arguments).exit_code == 2


@pytest.mark.parametrize("arguments", [["version"], ["--version"]])
def test_the_version_is_printed(arguments: list[str]) -> None:
    result = CliRunner().invoke(app, arguments)

    assert (result.exit_code, result.stdout) == (0, f"{VERSION}\n")
