"""How the Bedrock client reaches the service: TLS, proxies, credentials, regions."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.support.bedrock import CLAUDE, KEY_ID, use_keys
from tests.support.certificates import Authority
from tests.support.model_replies import Plan, Reply
from tests.support.model_server import ModelServer
from tests.support.proxies import TunnelProxy

from teamrun.errors import ModelError
from teamrun.messages.llm import UserMessage
from teamrun.models import BedrockChatCompletionClient
from teamrun.models.bedrock.connection import threads

pytestmark = pytest.mark.integration

ASK = [UserMessage(content="Hi", source="user")]
OK = Reply(content="all is well")
HANGS = Reply(content="x y", fault="hang", after=2)
SLOW = Reply(latency_seconds=30)
NOVA = "amazon.nova-lite-v1:0"
PROFILE = """
[profile mine]
region = eu-central-1
aws_access_key_id = AKIAFROMTHEPROFILE00
aws_secret_access_key = secret-of-the-profile
"""


@asynccontextmanager
async def client(address: str, model: str = CLAUDE, **options: Any) -> AsyncGenerator[Any]:
    made = BedrockChatCompletionClient(model, base_url=address, max_retries=0, **options)
    try:
        yield made
    finally:
        await made.close()


@asynccontextmanager
async def tls_server(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *queue: Reply
) -> AsyncGenerator[ModelServer]:
    authority = Authority(folder, "ca")
    monkeypatch.setenv("AWS_CA_BUNDLE", str(authority.ca_file))
    async with ModelServer(Plan(queue=list(queue)), tls=authority.server()) as server:
        yield server


async def leave(server: ModelServer, model: BedrockChatCompletionClient) -> None:
    """Cancel a whole call and a stream, and wait until the server sees it."""
    done = server.calls
    create = asyncio.ensure_future(model.create(ASK))
    await server.until(calls=done + 1)
    create.cancel()
    stream = model.create_stream(ASK)
    assert await anext(stream) == "x "
    await stream.aclose()
    await asyncio.wait([create])
    await server.until(abandoned=2)


async def test_calls_over_tls_are_answered_and_closed_when_they_are_cancelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_keys(monkeypatch)
    async with (
        tls_server(tmp_path, monkeypatch, OK, SLOW, HANGS, OK) as server,
        client(server.address) as model,
    ):
        assert (await model.create(ASK)).content == "all is well"
        await leave(server, model)
        assert (await model.create(ASK)).content == "all is well"


async def test_a_tunnel_of_a_proxy_is_closed_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_keys(monkeypatch)
    async with TunnelProxy() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        async with (
            tls_server(tmp_path, monkeypatch, SLOW, HANGS) as server,
            client(server.address) as model,
        ):
            await leave(server, model)
        assert proxy.opened == 2


async def test_a_certificate_that_is_not_trusted_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_keys(monkeypatch)
    async with tls_server(tmp_path, monkeypatch, OK) as server:
        monkeypatch.delenv("AWS_CA_BUNDLE")
        async with client(server.address) as model:
            with pytest.raises(ModelError, match=r"(?i)certificate|ssl"):
                await model.create(ASK)
        assert server.calls == 0


async def test_cancelled_calls_leave_their_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    use_keys(monkeypatch)
    async with ModelServer(Plan(default=SLOW)) as server, client(server.address) as model:
        for round_ in range(3):
            calls = [asyncio.ensure_future(model.create(ASK)) for _ in range(150)]
            await server.until(calls=150 * (round_ + 1))
            for call in calls:
                call.cancel()
            await asyncio.wait(calls)
            await server.until(abandoned=150 * (round_ + 1))
        # A pool whose threads were still busy would have no place for another call.
        server.plan = Plan(default=OK)
        assert (await model.create(ASK)).content == "all is well"
        assert await threads().run(lambda: "free") == "free"


def scope_of(server: ModelServer) -> list[str]:
    """Key id, region and service in the signature of the last request."""
    header: str = server.requests[-1]["headers"]["authorization"]
    key, _, region, service, _ = header.partition("Credential=")[2].partition(",")[0].split("/")
    return [key, region, service]


ARN = f"arn:aws:bedrock:us-west-2:123456789012:inference-profile/us.{NOVA}"


@pytest.mark.parametrize(
    ("model", "options", "region"),
    [
        (NOVA, {}, "us-east-1"),
        (NOVA, {"region": "ap-south-1"}, "ap-south-1"),
        (ARN, {}, "us-west-2"),
        (ARN, {"region": "ap-south-1"}, "ap-south-1"),
    ],
)
async def test_the_region_is_given_or_in_the_arn_or_in_the_environment(
    monkeypatch: pytest.MonkeyPatch, model: str, options: dict[str, Any], region: str
) -> None:
    use_keys(monkeypatch)
    async with ModelServer() as server, client(server.address, model, **options) as made:
        await made.create(ASK)
        assert scope_of(server) == [KEY_ID, region, "bedrock"]


async def test_a_profile_has_its_own_region_and_keys(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "config"
    file.write_text(PROFILE, encoding="utf-8")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(file))
    async with ModelServer() as server, client(server.address, profile="mine") as model:
        await model.create(ASK)
        assert scope_of(server) == ["AKIAFROMTHEPROFILE00", "eu-central-1", "bedrock"]


async def test_a_key_of_bedrock_is_sent_as_a_bearer_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "bedrock-api-key-of-the-test")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    refused = Reply(status=403, content="no bedrock-api-key-of-the-test")
    async with (
        tls_server(tmp_path, monkeypatch, refused) as server,
        client(server.address, region="us-east-1") as model,
    ):
        with pytest.raises(ModelError) as raised:
            await model.create(ASK)
        assert server.requests[0]["headers"]["authorization"].startswith("Bearer bedrock-api-key")
    assert "bedrock-api-key" not in raised.value.message


@pytest.mark.parametrize(
    ("environ", "options", "words"),
    [
        ({}, {"profile": "nobody"}, "nobody"),
        ({"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s"}, {}, "Bedrock needs a region"),
        ({"AWS_ACCESS_KEY_ID": "k"}, {"region": "us-east-1"}, "There are no AWS credentials"),
        (
            {"AWS_EC2_METADATA_DISABLED": "true"},
            {"region": "us-east-1"},
            "no AWS credentials .* unset AWS_EC2_METADATA_DISABLED",
        ),
        (
            {"AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:9"},
            {"region": "us-east-1"},
            "no AWS credentials .* AWS_EC2_METADATA_DISABLED=true saves",
        ),
        ({}, {"region": "us east"}, "us east"),
    ],
)
async def test_what_the_environment_lacks_is_an_error_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    environ: dict[str, str],
    options: dict[str, Any],
    words: str,
) -> None:
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "absent"))
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    async with ModelServer() as server, client(server.address, **options) as model:
        for stream in (False, True):
            with pytest.raises(ModelError, match=words) as raised:
                await (anext(model.create_stream(ASK)) if stream else model.create(ASK))
            assert not raised.value.retryable
        assert server.calls == 0


FORK = """
import asyncio, os, sys
from teamrun.messages.llm import UserMessage
from teamrun.models import BedrockChatCompletionClient

model = BedrockChatCompletionClient("amazon.nova-lite-v1:0", "us-east-1", base_url=sys.argv[1])
ask = [UserMessage(content="Hi", source="user")]
asyncio.run(model.create(ask))
child = os.fork()
asyncio.run(model.create(ask))
if child:
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""


async def test_a_forked_process_has_connections_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use_keys(monkeypatch)
    async with ModelServer() as server:
        environ = {**os.environ, "PYTHONPATH": ":".join(sys.path)}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", FORK, server.address, env=environ, stderr=subprocess.PIPE
        )
        _, errors = await process.communicate()
        assert process.returncode == 0, errors.decode()
        assert (server.calls, server.connections) == (3, 2)
