"""A deployment on AWS Lambda, with the services of a moto server."""

import json
import os
import sys
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace

import boto3
from tests.conformance.site import STORE_SECRET, Site, Written, files_below
from tests.support.aws_deployment import AwsDeployment, aws_deployment
from tests.support.lambda_gateway import request_event
from tests.support.services import moto

from teamrun.core.refs import RunRef

__all__ = ["on_lambda"]

_LIMIT_S = 12.0
"""The time limit of the functions that execute runs."""
_SECRET = ("TEAMRUN_API_KEYS", "SUITE_MODEL_KEY")


@dataclass
class _Lambda:
    """Implements `Host`, `Crowded` and `Queued`."""

    site: Site
    deployment: AwsDeployment
    limit_s: float = _LIMIT_S

    @property
    def url(self) -> str:
        return self.deployment.url

    def lose(self) -> None:
        self.deployment.functions["worker"].kill()

    def limit(self) -> None:
        self.deployment.functions["worker"].await_end()

    def overtake(self) -> AbstractContextManager[None]:
        return self.deployment.functions["worker"].overtaken()

    def deliver_again(self, run_id: str) -> None:
        self.deployment.send(RunRef("default", run_id))

    def written(self) -> Iterator[Written]:
        deployment = self.deployment
        for key in deployment.objects():
            yield "name of an object", key.encode()
            with suppress(deployment.s3.exceptions.NoSuchKey):  # it is deleted meanwhile
                yield key, deployment.get(key)
        for name, mapping in deployment.mappings.items():
            for body in mapping.bodies:
                yield f"a message of {name}", body.encode()
        yield from files_below(deployment.folder)


@contextmanager
def on_lambda(site: Site) -> Generator[_Lambda]:
    """The functions of a deployment, warm."""
    logs = site.folder / "logs"
    logs.mkdir()
    with moto() as found:
        server = replace(found, secret_access_key=STORE_SECRET)
        client = boto3.client(
            "secretsmanager",
            region_name=server.region,
            endpoint_url=server.endpoint,
            aws_access_key_id=server.access_key_id,
            aws_secret_access_key=server.secret_access_key,
        )
        environ = {
            **site.environ,
            "PYTHONPATH": os.pathsep.join([str(site.folder), *sys.path]),
            "TEAMRUN_WAIT_LIMIT_SECONDS": "1",
            "TEAMRUN_HANDOVER_SECONDS": "6",
        }
        secret = {name: environ.pop(name) for name in _SECRET}
        made = client.create_secret(Name="suite", SecretString=json.dumps(secret))
        environ["TEAMRUN_SECRET_ENV"] = made["ARN"]
        with aws_deployment(
            logs,
            server,
            environ=environ,
            timeout_s=_LIMIT_S,
            workers=8,
            apis=6,
            batch_size=5,
        ) as deployment:
            deployment.functions["api"].warm(request_event("GET", "/healthz", [], b""))
            deployment.functions["worker"].warm({"Records": []})
            yield _Lambda(site, deployment)
