"""A terminal for code that runs in this process."""

import os
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager

import pytest

__all__ = ["at_terminal"]


@contextmanager
def at_terminal(lines: Sequence[str]) -> Generator[int]:
    """Stdin and stderr are a terminal at which a person has typed some lines.

    Yields the descriptor of the person's side.
    """
    person, program = os.openpty()
    os.write(person, "".join(f"{line}\n" for line in lines).encode())
    with (
        pytest.MonkeyPatch.context() as patch,
        os.fdopen(program, "r", encoding="utf-8") as stdin,
        os.fdopen(os.dup(program), "w", encoding="utf-8") as stderr,
    ):
        patch.setattr(sys, "stdin", stdin)
        patch.setattr(sys, "stderr", stderr)
        try:
            yield person
        finally:
            os.close(person)
