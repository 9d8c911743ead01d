"""Which call a connection belongs to when it is shut down."""

import socket
from collections.abc import Generator
from typing import Any

import pytest

from teamrun.models.bedrock.connection import HungUp, Line


class Connection:
    """What `Line` knows of a connection."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.line: Line | None = None


@pytest.fixture
def pair() -> Generator[tuple[Any, socket.socket]]:
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    with ours, theirs:
        yield Connection(ours), theirs


def is_open(theirs: socket.socket) -> bool:
    try:
        return bool(theirs.recv(1))
    except BlockingIOError:
        return True


def test_hanging_up_shuts_the_connection_of_the_call(pair: tuple[Any, socket.socket]) -> None:
    connection, theirs = pair
    line = Line()
    line.take(connection)
    assert is_open(theirs)
    line.hang_up()
    assert not is_open(theirs)


def test_a_connection_that_another_call_has_taken_stays_open(
    pair: tuple[Any, socket.socket],
) -> None:
    connection, theirs = pair
    first, second = Line(), Line()
    first.take(connection)
    second.take(connection)
    first.hang_up()
    assert is_open(theirs)


def test_a_connection_that_the_call_has_given_back_stays_open(
    pair: tuple[Any, socket.socket],
) -> None:
    connection, theirs = pair
    line = Line()
    with line:
        line.take(connection)
    line.hang_up()
    assert is_open(theirs)
    assert connection.line is None


def test_a_call_that_was_cancelled_takes_no_connection(pair: tuple[Any, socket.socket]) -> None:
    line = Line()
    line.hang_up()
    with pytest.raises(HungUp):
        line.take(pair[0])


@pytest.mark.parametrize(
    ("header", "secrets"),
    [
        (
            "AWS4-HMAC-SHA256 Credential=AKIAX/20260101/r/bedrock/aws4_request, "
            "SignedHeaders=host, Signature=abcdef",
            {"AKIAX", "abcdef"},
        ),
        ("Bearer the-token", {"the-token"}),
    ],
)
def test_what_was_sent_to_sign_a_request_is_secret(header: str, secrets: set[str]) -> None:
    line = Line()
    line.note({"Authorization": header.encode(), "X-Amz-Security-Token": "session", "Host": "h"})
    assert {header, "session", *secrets} == set(line.secrets)
