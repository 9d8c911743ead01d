"""A Valkey with a password that notes every command it is told."""

import socket
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import NamedTuple

from tests.conformance.site import QUEUE_PASSWORD
from tests.support.services import valkey

__all__ = ["GuardedValkey", "guarded_valkey"]


class GuardedValkey(NamedTuple):
    """The server, as the processes of a host and the suite see it."""

    url: str
    """With the password."""
    commands: Callable[[], bytes]
    """All commands so far, with their arguments."""


@contextmanager
def guarded_valkey() -> Generator[GuardedValkey]:
    """A running server, empty."""
    noted = bytearray()
    with valkey() as server, socket.socket(socket.AF_UNIX) as monitor:
        monitor.connect(str(server.socket))
        monitor.sendall(f"CONFIG SET requirepass {QUEUE_PASSWORD}\r\nMONITOR\r\n".encode())

        def note() -> None:
            with suppress(OSError):  # the server has been killed
                while data := monitor.recv(65536):
                    noted.extend(data)

        thread = threading.Thread(target=note, name="monitor")
        thread.start()
        try:
            url = f"{server.url}?password={QUEUE_PASSWORD}"
            yield GuardedValkey(url, lambda: bytes(noted))
        finally:
            server.kill()
            thread.join(60)
