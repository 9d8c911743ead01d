"""Commands of two words, such as `teamrun batch watch`."""

from dataclasses import dataclass
from typing import Any

import typer
from typer.core import TyperGroup

__all__ = ["CommandGroup", "group_app"]


@dataclass(frozen=True, slots=True)
class CommandGroup:
    """The first word of some commands."""

    help: str
    default: str | None = None
    """The second word that may be left out; None if there is none."""
    is_bare: bool = False
    """Whether the first word alone is a command, the default one, too; otherwise it prints help."""


def group_app(group: CommandGroup) -> typer.Typer:
    """The application of a group, to which its commands are added."""

    class Group(TyperGroup):
        """Inserts the default command if the first argument is not a command."""

        def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
            known = {*self.commands, *ctx.help_option_names}
            is_left_out = args[0] not in known if args else group.is_bare
            if group.default is not None and is_left_out:
                args = [group.default, *args]
            return super().parse_args(ctx, args)

    return typer.Typer(
        cls=Group, help=group.help, no_args_is_help=not group.is_bare, rich_markup_mode=None
    )
