"""A deployment on AWS as `serverless.yml` describes it, over a moto server and real functions."""

import hashlib
import importlib.util
import json
import os
import sys
import uuid
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from tests.support.lambda_gateway import gateway
from tests.support.lambda_service import Function, Schedule, Specification
from tests.support.lambda_service import Mapping as EventSourceMapping
from tests.support.services import Moto, not_here

from teamrun.core.refs import RunRef
from teamrun.dispatch.message import encode_refs

__all__ = ["KEY", "AwsDeployment", "aws_deployment"]

KEY = "tr-test-key"

_PACKAGE = "teamrun_infra.aws"
_QUEUES = ("interactive", "batch", "hooks")


@dataclass
class AwsDeployment:
    """Its parts."""

    folder: Path
    moto: Moto
    environ: dict[str, str]
    prefix: str
    bucket: str
    functions: dict[str, Function]
    sqs: Any
    s3: Any
    queues: dict[str, str]
    """URLs, by name; `dead` is that of dead letters."""
    mappings: dict[str, EventSourceMapping] = field(default_factory=dict[str, EventSourceMapping])
    url: str = ""

    def send(self, *refs: RunRef, queue: str = "interactive") -> None:
        """Send a message that names runs."""
        self.send_text(encode_refs(refs), queue=queue)

    def send_text(self, body: str, *, queue: str = "interactive") -> None:
        self.sqs.send_message(QueueUrl=self.queues[queue], MessageBody=body)

    def event(self, *refs: RunRef) -> dict[str, Any]:
        """An event of a message that is in no queue."""
        message = {"MessageId": "m", "ReceiptHandle": "r", "Body": encode_refs(refs)}
        return self.mappings["interactive"].event([{**message, "MD5OfBody": ""}])

    def count(self, queue: str) -> int:
        """The messages of a queue, also those in flight."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.sqs.get_queue_attributes(QueueUrl=self.queues[queue], AttributeNames=names)
        return sum(int(found["Attributes"][name]) for name in names)

    def entries(self, run_id: str) -> list[dict[str, Any]]:
        """The log of a run."""
        keys = [key for key in self.objects() if f"/{run_id}/log/" in key]
        return [json.loads(self.get(key)) for key in sorted(keys)]

    def objects(self) -> Iterator[str]:
        """Every object of the bucket."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        for page in pages:
            yield from (each["Key"] for each in page.get("Contents", ()))

    def get(self, key: str) -> bytes:
        return self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()

    def logs(self) -> str:
        """The output of all functions."""
        return "".join(
            path.read_text(encoding="utf-8") for path in sorted(self.folder.glob("*.log"))
        )


@contextmanager
def aws_deployment(
    folder: Path,
    moto: Moto,
    *,
    environ: Mapping[str, str] | None = None,
    timeout_s: float = 12.0,
    visibility_s: int = 15,
    max_receives: int = 5,
    starts: Sequence[str] = ("interactive", "batch", "hooks", "dead", "schedule"),
    endpoint: str | None = None,
    workers: int = 2,
    apis: int = 4,
    batch_size: int = 1,
) -> Generator[AwsDeployment]:
    """A deployment with the team file of the folder.

    Args:
        folder: With `teamrun.yaml`; the output of functions is put there.
        moto: The services.
        environ: Further variables of the functions.
        timeout_s: Of the functions that execute runs.
        visibility_s: Of the queues.
        max_receives: Receipts of a message before it is a dead letter.
        starts: The queues whose messages call functions, and `schedule` if that does, too.
        endpoint: Of the services, as the functions see them.
        workers: Maximum number of instances that execute runs.
        apis: The same of the API.
        batch_size: Maximum number of messages in an event of the queues of runs.
    """
    if importlib.util.find_spec("awslambdaric") is None:
        not_here("awslambdaric is not installed: pip install awslambdaric")
    prefix = f"t{uuid.uuid4().hex[:12]}"
    bucket = f"bucket-{prefix}"
    moto.make_bucket(bucket)
    clients: dict[str, Any] = {
        name: boto3.client(
            name,
            region_name=moto.region,
            endpoint_url=moto.endpoint,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )
        for name in ("sqs", "s3")
    }
    queues, arns = _make_queues(clients["sqs"], prefix, visibility_s, max_receives)
    at = endpoint or moto.endpoint
    variables = {
        **moto.environ(),
        "AWS_REGION": moto.region,
        "AWS_DEFAULT_REGION": moto.region,
        "AWS_ENDPOINT_URL": at,
        "PYTHONPATH": os.pathsep.join([str(folder), *sys.path]),
        "TEAMRUN_CONFIG": str(folder / "teamrun.yaml"),
        "TEAMRUN_STORE_URL": f"s3://{bucket}/runs?endpoint={at}&region={moto.region}",
        "TEAMRUN_QUEUE_URL": f"sqs://{prefix}?region={moto.region}&endpoint={at}",
        "TEAMRUN_LEASE_SECONDS": "1",
        "TEAMRUN_HANDOVER_SECONDS": "3",
        "TEAMRUN_ALLOW_SCRIPTED": "true",
        "LEDGER": str(folder / "ledger"),
        **(environ or {}),
    }
    api: dict[str, str] = {}
    if "TEAMRUN_SECRET_ENV" not in variables:
        keys = [{"name": "test", "sha256": _digest(KEY), "scopes": _SCOPES}]
        api["TEAMRUN_API_KEYS"] = json.dumps(keys)

    def function(name: str, most: int, timeout_s: float, more: Mapping[str, str]) -> Function:
        handler = f"{_PACKAGE}.{name}.handler"
        return Function(Specification(handler, timeout_s, {**variables, **more}, folder, most))

    functions = {
        "api": function("api", apis, 29.0, api),
        "worker": function("worker", workers, timeout_s, {}),
        "upkeep": function("upkeep", 2, max(timeout_s, 20.0), {}),
        "dead_letters": function("dead_letters", 1, 20.0, {}),
    }
    made = AwsDeployment(
        folder, moto, variables, prefix, bucket, functions, clients["sqs"], clients["s3"], queues
    )
    targets = {
        "interactive": "worker",
        "batch": "worker",
        "hooks": "upkeep",
        "dead": "dead_letters",
    }
    for name, target in targets.items():
        made.mappings[name] = EventSourceMapping(
            clients["sqs"],
            queues[name],
            arns[name],
            functions[target],
            batch_size=batch_size if target == "worker" else 1,
            most=functions[target].of.most,
        )
    with ExitStack() as stack:
        for each in functions.values():
            stack.enter_context(closing(each))
        made.url = stack.enter_context(gateway(functions["api"]))
        runners = {**made.mappings, "schedule": Schedule(functions["upkeep"])}
        for name in starts:
            stack.enter_context(closing(runners[name]))
            runners[name].start()
        yield made


_SCOPES = ["runs:read", "runs:write", "teams:read", "webhooks:read", "webhooks:write"]


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _make_queues(
    sqs: Any, prefix: str, visibility_s: int, max_receives: int
) -> tuple[dict[str, str], dict[str, str]]:
    urls: dict[str, str] = {}
    arns: dict[str, str] = {}

    def make(name: str, **attributes: str) -> None:
        urls[name] = sqs.create_queue(
            QueueName=f"{prefix}-{name}",
            Attributes={"VisibilityTimeout": str(visibility_s), **attributes},
        )["QueueUrl"]
        found = sqs.get_queue_attributes(QueueUrl=urls[name], AttributeNames=["QueueArn"])
        arns[name] = found["Attributes"]["QueueArn"]

    make("dead")
    policy = {"deadLetterTargetArn": arns["dead"], "maxReceiveCount": max_receives}
    for name in _QUEUES:
        make(name, RedrivePolicy=json.dumps(policy))
    return urls, arns
