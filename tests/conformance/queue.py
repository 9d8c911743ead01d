"""A Valkey with a password that notes every command it is told."""

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

import redis
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
    noted: list[str] = []
    with valkey() as server:
        path = str(server.socket)
        client: Any = redis.Redis(unix_socket_path=path)
        client.config_set("requirepass", QUEUE_PASSWORD)
        client.close()
        client = redis.Redis(unix_socket_path=path, password=QUEUE_PASSWORD)
        monitor = client.monitor().__enter__()

        def note() -> None:
            with suppress(redis.ConnectionError):
                noted.extend(command["command"] for command in monitor.listen())

        thread = threading.Thread(target=note, name="monitor")
        thread.start()
        try:
            url = f"{server.url}?password={QUEUE_PASSWORD}"
            yield GuardedValkey(url, lambda: "\n".join(noted).encode())
        finally:
            server.kill()
            thread.join(60)
            monitor.connection.disconnect()
            client.close()
