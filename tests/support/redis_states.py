"""States of a Redis server in which it answers, and refuses writes."""

import shutil
from collections.abc import Callable
from typing import Any, cast

import redis
from tests.support.services import Valkey

__all__ = ["REFUSING", "admin", "recover"]


def admin(server: Valkey, *command: str | int) -> Any:
    """The reply to one command, over a new connection."""
    with redis.Redis(unix_socket_path=str(server.socket)) as client:
        return cast("Any", client).execute_command(*command)


def _become_replica(server: Valkey) -> None:
    admin(server, "REPLICAOF", "127.0.0.1", 1)
    admin(server, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


def _become_full(server: Valkey) -> None:
    admin(server, "CONFIG", "SET", "maxmemory-policy", "noeviction")
    admin(server, "CONFIG", "SET", "maxmemory", 1)
    admin(server, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


def _fail_to_save(server: Valkey) -> None:
    admin(server, "CONFIG", "SET", "save", "3600 1")
    admin(server, "CONFIG", "SET", "stop-writes-on-bgsave-error", "yes")
    shutil.rmtree(server.folder / "data")
    admin(server, "BGSAVE")
    while admin(server, "INFO", "persistence")["rdb_last_bgsave_status"] != "err":
        pass


REFUSING: dict[str, Callable[[Valkey], None]] = {
    "READONLY": _become_replica,
    "OOM": _become_full,
    "MISCONF": _fail_to_save,
}


def recover(server: Valkey) -> None:
    """Take writes again."""
    admin(server, "REPLICAOF", "NO", "ONE")
    admin(server, "CONFIG", "SET", "maxmemory", 0)
    admin(server, "CONFIG", "SET", "save", "")
