"""Lines that a person writes at the terminal."""

import codecs
import contextlib
import os
import select
import sys
from collections.abc import Callable
from typing import TypeAlias

from teamrun.cli.screen import end_prompt, prompt

__all__ = ["NoLongerAsked", "ReadLine", "Terminal", "at_terminal"]

ReadLine: TypeAlias = Callable[[str, Callable[[], bool]], str | None]
"""Shows a prompt and reads a line while the second argument returns True; None at the end of the
input.

Raises:
    NoLongerAsked: The second argument returned False.
"""

_LOOK_S = 1.0
"""Seconds between looks at whether the question is still open."""
_CHUNK = 4096


class NoLongerAsked(Exception):
    """The question was settled before the person answered it."""


class Terminal:
    """Reads lines from a terminal.

    It reads the file descriptor itself: a thread inside `input()` cannot be stopped.

    Args:
        descriptor: Of the terminal.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._text = ""

    def read(self, text: str, is_open: Callable[[], bool]) -> str | None:
        """See `ReadLine`."""
        prompt(text)
        while "\n" not in self._text:
            if not select.select([self._descriptor], [], [], _LOOK_S)[0]:
                if not is_open():
                    self._forget()
                    end_prompt()
                    raise NoLongerAsked
                continue
            chunk = os.read(self._descriptor, _CHUNK)
            if not chunk:
                end_prompt()
                return None
            self._text += self._decoder.decode(chunk)
        line, _, self._text = self._text.partition("\n")
        return line.rstrip("\r")

    def _forget(self) -> None:
        """Drop a half-written line, so that it does not become the answer to the next question."""
        self._text = ""
        if sys.platform != "win32":
            import termios

            with contextlib.suppress(termios.error):
                termios.tcflush(self._descriptor, termios.TCIFLUSH)


def at_terminal() -> ReadLine | None:
    """Reads lines from the terminal; None if stdin or stderr is not one."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None
    if hasattr(select, "poll"):
        return Terminal(sys.stdin.fileno()).read
    # `select` takes no console of Windows, so a question that is settled stays until Enter.
    return _read_blocking


def _read_blocking(text: str, is_open: Callable[[], bool]) -> str | None:
    prompt(text)
    try:
        line = input()
    except EOFError:
        end_prompt()
        return None
    if not is_open():
        raise NoLongerAsked
    return line
