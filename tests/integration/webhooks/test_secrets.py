"""No secret of a webhook is anywhere but in its own object: real processes, every path."""

import json
from base64 import b64decode
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.support.deployment import Deployment, deployed, sometime
from tests.support.quick_webhooks import PAUSE
from tests.support.receiver import Received, Receiver, Reply, receiving

from teamrun.json_types import JsonObject
from teamrun.redis.pipe import RedisPipe

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]


def answer(request: Received) -> Reply:
    """`/own` accepts, `/hook` fails always, `/gone` wants nothing more."""
    return Reply({"/own": 204, "/hook": 500, "/gone": 410}[request.path])


class Client:
    """A client that keeps what it is told, and the secrets."""

    def __init__(self, deployment: Deployment, receiver: Receiver) -> None:
        self.receiver = receiver
        self.secrets = set[str]()
        self.told: list[str] = []
        """The texts of all answers that must not have a secret."""
        self._http = httpx2.AsyncClient(
            base_url=f"http://127.0.0.1:{deployment.port}", trust_env=False, timeout=10
        )

    async def answers(self) -> bool:
        try:
            return (await self._http.get("/healthz")).is_success
        except httpx2.HTTPError:
            return False

    async def ask(self, method: str, path: str, body: JsonObject | None = None) -> Any:
        reply = await self._http.request(method, path, json=body)
        self.told.append(reply.text + str(dict(reply.headers)))
        is_json = "json" in reply.headers.get("content-type", "")
        return reply.json() if is_json else None

    async def secret(self, method: str, path: str, body: JsonObject | None = None) -> Any:
        """A request whose answer shows a secret."""
        shown = (await self._http.request(method, path, json=body)).json()
        self.secrets.add(shown["secret"])
        return shown

    async def close(self) -> None:
        await self._http.aclose()


async def go(client: Client) -> None:
    """Every path that a secret is near to."""
    url = client.receiver.url
    ids: list[str] = []
    for path in ("/hook", "/gone"):
        body = {"url": f"{url}{path}", "events": ["run.*", "webhook.*"]}
        made = await client.secret("POST", "/v1/webhooks", body)
        ids.append(made["id"])
        await client.secret("POST", f"/v1/webhooks/{made['id']}/rotate-secret", {})
        await client.ask("POST", f"/v1/webhooks/{made['id']}/test", {})
        await client.ask("PATCH", f"/v1/webhooks/{made['id']}", {"url": "http://10.0.0.1/"})
    await client.secret("GET", "/v1/webhook-secret")
    await client.secret("POST", "/v1/webhook-secret/rotate", {})
    own = {"url": f"{url}/own", "events": ["run.*"]}
    run = await client.ask("POST", "/v1/runs", {"team": "cage", "input": "x", "webhook": own})
    path = f"/v1/runs/{run['id']}"

    async def is_over() -> bool:
        page = await client.ask("GET", f"{path}/deliveries")
        statuses = {each["status"] for each in page["data"]}
        types = [each["event_type"] for each in page["data"]]
        return "pending" not in statuses and types.count("run.completed") == 3

    await sometime(is_over, "all deliveries are over")
    for place in ("", "/events", "/result", "/deliveries"):
        await client.ask("GET", f"{path}{place}")
    for webhook_id in ids:
        for place in ("", "/deliveries"):
            await client.ask("GET", f"/v1/webhooks/{webhook_id}{place}")
        await client.ask(
            "POST", f"/v1/webhooks/{webhook_id}/redeliver", {"since": run["created_at"]}
        )
    await client.ask("GET", "/v1/webhooks")
    await sometime(is_over, "the redeliveries are over")
    await client.ask("GET", "/metrics")
    await client.ask("DELETE", f"/v1/webhooks/{ids[0]}")


async def in_redis(deployment: Deployment) -> dict[str, bytes]:
    """All keys and values; not compressed."""
    pipe = RedisPipe(deployment.server.url)
    await pipe.call(b"CONFIG", b"SET", b"rdbcompression", b"no")
    keys: list[bytes] = await pipe.call(b"KEYS", b"*")
    found = {repr(key): await pipe.call(b"DUMP", key) or b"" for key in keys}
    await pipe.close()
    return found


async def in_store(deployment: Deployment) -> dict[str, bytes]:
    """All objects but those of the webhooks themselves."""
    keys: list[str] = []
    while page := await deployment.store.list("", after=keys[-1] if keys else ""):
        keys += page
    others = [key for key in keys if "/webhooks/" not in key]
    stored = await deployment.store.get_many(others)
    return {key: key.encode() + (data or b"") for key, data in zip(others, stored, strict=True)}


async def test_no_secret_is_in_a_log_an_event_a_record_a_key_or_an_error(tmp_path: Path) -> None:
    with receiving() as receiver:
        receiver.decide = answer
        environ = {
            "TEAMRUN_ALLOWED_HOSTS": json.dumps([f"127.0.0.1:{receiver.port}"]),
            "TEAMRUN_LOG_LEVEL": "debug",
            PAUSE: "0.1",
        }
        async with deployed(tmp_path / "d", environ=environ) as deployment:
            children = [deployment.worker(), deployment.api()]
            client = Client(deployment, receiver)
            try:
                await sometime(client.answers, "the API answers")
                await go(client)
            finally:
                await client.close()
            found = {
                **await in_redis(deployment),
                **await in_store(deployment),
                **{child.log.name: child.log.read_bytes() for child in children},
                **{f"answer {n}": text.encode() for n, text in enumerate(client.told)},
                **{f"request {n}": each.body for n, each in enumerate(receiver.received)},
                **{
                    f"headers {n}": json.dumps(each.headers).encode()
                    for n, each in enumerate(receiver.received)
                },
            }

    assert len(client.secrets) == 6
    forms = [
        form
        for secret in client.secrets
        for form in (secret.encode(), secret[6:-1].encode(), b64decode(secret[6:]))
    ]
    assert [name for name, data in found.items() if any(form in data for form in forms)] == []
    paths = {each.path for each in receiver.received}
    assert paths == {"/own", "/hook", "/gone"}
    assert len(found) > 100
