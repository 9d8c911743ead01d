"""A deployment on Azure as `infra/azure` describes it, over Azurite and real function processes."""

import hashlib
import json
import os
import sys
import uuid
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from tests.support.functions_host import AZURE, QUEUES, FunctionsHost, Platform, functions_host
from tests.support.services import Azurite

from teamrun.core.refs import RunRef
from teamrun.dispatch.message import encode_refs

__all__ = ["KEY", "AzureDeployment", "azure_deployment"]

KEY = "tr-test-key"

_SCOPES = ["runs:read", "runs:write", "teams:read", "webhooks:read", "webhooks:write"]


@dataclass
class AzureDeployment:
    """Its parts."""

    folder: Path
    server: Azurite
    container: str
    host: FunctionsHost
    url: str

    def send(self, *refs: RunRef, queue: str = "interactive") -> None:
        """Send a message that names runs."""
        self.host.send_text(encode_refs(refs), queue=queue)

    def count(self, queue: str) -> int:
        """The messages of a queue, also those in execution."""
        address = f"{self.server.queue_endpoint}/{self.host.prefix}-{queue}"
        headers, _ = self.server.exchange("GET", address, {"comp": "metadata"})
        return int(headers["x-ms-approximate-messages-count"])

    def entries(self, run_id: str) -> list[dict[str, Any]]:
        """The log of a run."""
        names = [name for name in self.names() if f"/{run_id}/log/" in name]
        return [json.loads(self.blob(name)) for name in sorted(names)]

    def names(self) -> Iterator[str]:
        """Every blob of the container."""
        marker = ""
        while True:
            query = {"restype": "container", "comp": "list", "marker": marker}
            answer = self.server.request("GET", self._container, query)
            page = ElementTree.fromstring(answer.decode().lstrip("\ufeff"))
            for node in page.iter("Name"):
                yield node.text or ""
            marker = page.findtext("NextMarker") or ""
            if not marker:
                return

    def blob(self, name: str) -> bytes:
        return self.server.request("GET", f"{self._container}/{name}")

    def write(self, name: str, data: bytes) -> None:
        """Replace a blob."""
        url, kind = f"{self._container}/{name}", {"x-ms-blob-type": "BlockBlob"}
        self.server.request("PUT", url, body=data, headers=kind)

    def logs(self) -> str:
        """The output of all workers."""
        return "".join(
            path.read_text(encoding="utf-8") for path in sorted(self.folder.glob("*.log"))
        )

    @property
    def _container(self) -> str:
        return f"{self.server.blob_endpoint}/{self.container}"


@contextmanager
def azure_deployment(
    folder: Path,
    server: Azurite,
    *,
    environ: Mapping[str, str] | None = None,
    platform: Platform = AZURE,
    starts: Sequence[str] = (*QUEUES, "timer"),
    blobs: str | None = None,
    queues: str | None = None,
    port: int = 0,
) -> Generator[AzureDeployment]:
    """A deployment with the team file of the folder.

    Args:
        folder: With `teamrun.yaml`; the output of workers is put there.
        server: The services.
        environ: Further variables of the functions.
        platform: Its limits.
        starts: The queues whose messages call functions, and `timer`.
        blobs: The server of blobs as the functions see it, without the account.
        queues: The server of queues as the functions see it, without the account.
        port: Of the API.
    """
    name = f"t{uuid.uuid4().hex[:12]}"
    server.make_container(name)
    account = server.account
    blobs = server.blob_endpoint if blobs is None else f"{blobs}/{account}"
    queues = server.queue_endpoint if queues is None else f"{queues}/{account}"
    keys = [{"name": "test", "sha256": hashlib.sha256(KEY.encode()).hexdigest(), "scopes": _SCOPES}]
    variables = {
        **os.environ,
        **server.environ(),
        "TEAMRUN_CONFIG": str(folder / "teamrun.yaml"),
        "TEAMRUN_STORE_URL": f"az://{name}/runs?account={account}&endpoint={blobs}",
        "TEAMRUN_QUEUE_URL": f"azq://{name}?account={account}&endpoint={queues}",
        "TEAMRUN_API_KEYS": json.dumps(keys),
        "TEAMRUN_LEASE_SECONDS": "1",
        "TEAMRUN_HANDOVER_SECONDS": "3",
        "TEAMRUN_ALLOW_SCRIPTED": "true",
        "LEDGER": str(folder / "ledger"),
        **(environ or {}),
        "PYTHONPATH": os.pathsep.join([str(folder), *sys.path]),
    }
    running = functions_host(
        folder,
        server,
        environ=variables,
        prefix=name,
        platform=platform,
        starts=starts,
        port=port,
    )
    with running as (host, url):
        yield AzureDeployment(folder, server, name, host, url)
