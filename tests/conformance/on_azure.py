"""The suite on Azure Functions: the handlers in processes of the platform, over Azurite."""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.error import HTTPError

import httpx2
from tests.conformance.site import Site, Written, files_below
from tests.support.azure_deployment import AzureDeployment, azure_deployment
from tests.support.functions_host import Platform
from tests.support.services import azurite

__all__ = ["on_azure"]

_PLATFORM = Platform(timeout_s=15, hidden_s=3)
"""Every invocation has the same time. In less, an instance on a busy machine has hardly begun."""
_HANDOVER = {"TEAMRUN_HANDOVER_SECONDS": "5"}


@dataclass
class _Functions:
    """Implements `Host`."""

    deployment: AzureDeployment
    limit_s: float = _PLATFORM.timeout_s

    @property
    def url(self) -> str:
        return self.deployment.url

    def lose(self) -> None:
        self.deployment.host.lose()
        self.warm()

    def warm(self) -> None:
        """Let the instance for messages open its runtime."""
        self.deployment.host.invoke("upkeep", "timer", {})

    def limit(self) -> None:
        """An invocation that is in progress meets its limit by itself."""
        host = self.deployment.host
        host.until_ended(host.running())

    def written(self) -> Iterator[Written]:
        deployment = self.deployment
        for name in [*deployment.names()]:
            yield "name of a blob", name.encode()
            try:
                yield name, deployment.blob(name)
            except HTTPError as error:
                if error.code != 404:  # it is deleted meanwhile
                    raise
        for body in [*deployment.host.bodies]:
            yield "message", body.encode()
        yield from files_below(deployment.folder)


@contextmanager
def on_azure(site: Site) -> Generator[_Functions]:
    """A function app with an instance for requests and one for messages."""
    environ = {**site.environ, **_HANDOVER}
    folder = site.folder / "functions"
    folder.mkdir()
    with (
        azurite() as server,
        azure_deployment(folder, server, environ=environ, platform=_PLATFORM) as deployment,
    ):
        host = _Functions(deployment)
        host.warm()
        httpx2.get(f"{host.url}/readyz", timeout=60).raise_for_status()
        yield host
