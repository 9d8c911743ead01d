"""The commands of the command line by name, those of groups with two words."""

from collections.abc import Iterator

import typer
from typer.core import TyperCommand, TyperGroup

from teamrun.cli.app import app

__all__ = ["LEAVES"]


def _leaves() -> Iterator[tuple[str, TyperCommand]]:
    root = typer.main.get_command(app)
    assert isinstance(root, TyperGroup)
    for name, command in root.commands.items():
        if isinstance(command, TyperGroup):
            for second, leaf in command.commands.items():
                assert isinstance(leaf, TyperCommand)
                yield f"{name} {second}", leaf
        else:
            assert isinstance(command, TyperCommand)
            yield name, command


LEAVES = dict(_leaves())
