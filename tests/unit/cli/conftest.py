"""The command line in this process."""

from collections.abc import Generator
from functools import cache

import pytest
from typer import testing
from typer.main import get_command


@pytest.fixture(scope="session", autouse=True)
def one_command_line() -> Generator[None]:
    """Build the parsers of all commands once, not at each `CliRunner().invoke`: it takes 8 ms."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(testing, "_get_command", cache(get_command))
        yield
