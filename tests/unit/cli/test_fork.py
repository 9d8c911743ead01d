"""`teamrun fork --after`: which forms of an event are taken, against a server that reads them."""

import json
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.support.http_server import QuietHandler, serving
from typer.testing import CliRunner

from teamrun.cli.app import app
from teamrun.errors import UsageError


@contextmanager
def receiving(bodies: list[Any]) -> Generator[str]:
    """A server that keeps and refuses requests; yields its URL."""

    class Handler(QuietHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            bodies.append((self.path, json.loads(self.rfile.read(length))))
            self.answer(404)

    with serving(Handler) as url:
        yield url


@pytest.mark.parametrize("after", ["7", "#7", "run_1-7"])
def test_an_event_is_its_number_as_watch_shows_it_or_its_id(after: str) -> None:
    bodies: list[Any] = []
    with receiving(bodies) as url:
        CliRunner().invoke(app, ["fork", "run_1", "--after", after, "--url", url])

    assert bodies == [("/v1/runs/run_1/fork", {"after_seq": 7})]


@pytest.mark.parametrize("after", ["", "#", "seven", "-7", "7.0", "\u0667", "run_2-7", "run_1-"])
def test_anything_else_is_refused_before_the_server_is_asked(after: str) -> None:
    bodies: list[Any] = []
    with receiving(bodies) as url:
        done = CliRunner().invoke(app, ["fork", "run_1", f"--after={after}", "--url", url])

    assert isinstance(done.exception, UsageError)
    assert bodies == []
