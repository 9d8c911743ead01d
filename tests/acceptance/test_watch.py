"""`teamrun watch` over HTTP: a person sees text while the model writes it."""

import os
import pty
import re
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager

import pytest
from tests.support.piecewise_model import BREAK, END, Pieces, piecewise_model
from tests.support.service import Served, serving

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.timeout(180),
    pytest.mark.skipif(sys.platform != "linux", reason="looks at processes through /proc"),
]

CONFIG = """\
models:
  m: {{type: openai, model: gpt-4o, api_key: k, base_url: "{base_url}"}}
agents:
  a: {{model: m, model_client_stream: true}}
  b: {{model: m, model_client_stream: true}}
teams:
  t: {{type: round_robin_group_chat, agents: [a, b], max_turns: 2}}
"""
ERASED = re.compile(r"[^\n]*\r")
CONTROL = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


class Screen:
    """The output of a command."""

    def __init__(self, descriptor: int) -> None:
        self.raw = ""
        self._descriptor = descriptor
        self._changed = threading.Condition()
        self._is_over = False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    @property
    def text(self) -> str:
        """The text without colours, and without lines that were erased."""
        return ERASED.sub("", CONTROL.sub("", self.raw).replace("\r\n", "\n"))

    def shows(self, part: str) -> None:
        """Wait until the end of the text is this."""
        with self._changed:
            self._changed.wait_for(lambda: self.text.endswith(part) or self._is_over, 60)
            assert self.text.endswith(part), self.text

    def contains(self, part: str) -> None:
        """Wait until the text contains this."""
        with self._changed:
            self._changed.wait_for(lambda: part in self.text or self._is_over, 60)
            assert part in self.text, self.text

    def rest(self) -> str:
        """The whole text, when the command has ended."""
        self._thread.join(60)
        return self.text

    def _read(self) -> None:
        while True:
            try:
                piece = os.read(self._descriptor, 4096)
            except OSError:  # a terminal whose other end is closed
                piece = b""
            with self._changed:
                self.raw += piece.decode()
                self._is_over = not piece
                self._changed.notify_all()
            if not piece:
                return


@contextmanager
def watching(served: Served, run_id: str, *options: str, terminal: bool) -> Generator[Screen]:
    command = [sys.executable, "-m", "teamrun", "watch", run_id, *options]
    environ = {**served.environ, "TEAMRUN_URL": served.url, "COLUMNS": "100", "TERM": "xterm"}
    reads, writes = pty.openpty() if terminal else os.pipe()
    process = subprocess.Popen(
        command, env=environ, stdin=subprocess.DEVNULL, stdout=writes, stderr=subprocess.STDOUT
    )
    os.close(writes)
    try:
        yield Screen(reads)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
        os.close(reads)


@pytest.fixture(scope="module")
def model() -> Generator[Pieces]:
    with piecewise_model() as pieces:
        yield pieces


@pytest.fixture(scope="module")
def served(model: Pieces, tmp_path_factory: pytest.TempPathFactory) -> Generator[Served]:
    folder = tmp_path_factory.mktemp("watch")
    config = folder / "teamrun.yaml"
    config.write_text(CONFIG.format(base_url=model.base_url), encoding="utf-8")
    with serving(folder / "data", config=config) as service:
        yield service


def submitted(served: Served) -> str:
    return served.post("/v1/runs", {"team": "t", "input": "go"})["id"]


@pytest.mark.parametrize("terminal", [False, True], ids=["pipe", "terminal"])
def test_text_is_shown_while_the_model_writes_it_and_only_once(
    terminal: bool, served: Served, model: Pieces
) -> None:
    run_id = submitted(served)
    with watching(served, run_id, terminal=terminal) as screen:
        screen.contains("user: go")
        for piece in ("One ", "[bold]two[/bold] ", ":smile: ", "zwölf 🎉\n", "three"):
            model.send(piece)
            screen.shows(piece)
        assert "a: One [bold]two[/bold] :smile: zwölf 🎉\nthree" in screen.text
        model.send(END, "Four")
        screen.shows("b: Four")
        model.send(END)
        text = screen.rest()

    assert [text.count(part) for part in ("One", "three", "a: ", "Four", "b: ")] == [1] * 5
    assert re.search(r"three  #\d+\nb: Four  #\d+\n", text)


def test_a_watch_that_begins_late_shows_the_whole_text_in_the_end(
    served: Served, model: Pieces
) -> None:
    run_id = submitted(served)
    with watching(served, run_id, terminal=False) as first:
        first.contains("user: go")
        model.send("Early ")
        first.shows("Early ")
        with watching(served, run_id, terminal=False) as second:
            second.contains("user: go")
            model.send("late.")
            first.shows("Early late.")
            model.send(END, "Next", END)
            assert re.search(r"^a: Early late\.  #\d+$", second.rest(), re.MULTILINE)
        first.rest()


def test_a_text_that_breaks_off_is_not_run_into_the_one_of_the_retry(
    served: Served, model: Pieces
) -> None:
    run_id = submitted(served)
    with watching(served, run_id, terminal=False) as screen:
        screen.contains("user: go")
        model.send("Half an ")
        screen.shows("a: Half an ")
        model.send(BREAK, "A whole", END, "Next", END)
        text = screen.rest()

    assert "Half an A whole" not in text
    assert re.search(r"^a: A whole  #\d+$", text, re.MULTILINE)


def test_the_pieces_are_lines_of_json_with_the_option(served: Served, model: Pieces) -> None:
    run_id = submitted(served)
    with watching(served, run_id, "--json", terminal=False) as screen:
        screen.contains("model.call.started")
        model.send("One ")
        screen.contains('"data":{"text":"One "')
        model.send(END, "Next", END)
        screen.rest()
