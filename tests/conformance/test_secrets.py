"""No secret of a deployment is in anything that it has written; the file is the suite's last."""

import base64
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from tests.conformance.client import Client
from tests.conformance.hosts import Host
from tests.conformance.plays import Plays
from tests.conformance.site import API_KEY, MODEL_KEY, QUEUE_PASSWORD, STORE_SECRET, Site, Written
from tests.support.service import until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

_SECRETS = {
    "the key of the API": API_KEY,
    "the key of the model": MODEL_KEY,
    "the password of the queue": QUEUE_PASSWORD,
    "the secret of the store": STORE_SECRET,
}
_KEPT = "t/default/webhooks/own/000001.json"
"""The object that has the secret of the tenant, because webhooks are signed with it."""

_SHOWN = {"GET /v1/webhook-secret", "POST /v1/webhooks"}
"""Answers that clients ask for a secret of webhooks with."""


def test_no_secret_is_in_anything_written(
    host: Host, site: Site, client: Client, plays: Plays
) -> None:
    plays.record("model_refuses_the_key", "none")
    secrets = {**_SECRETS, **_secrets_of_webhooks(client, site)}
    _use_wrong_keys(client)

    written = [each for each in host.written() if not each[0].endswith(_KEPT)]
    written += _received(site)
    answers = [each for each in site.answers if each[0] not in _SHOWN]

    assert len(written) > 100
    assert any(b"answered: " in data for _, data in written)
    assert [*_found(secrets, written), *_found(secrets, answers)] == []


def _secrets_of_webhooks(client: Client, site: Site) -> dict[str, str]:
    """The secret of the tenant, and that of a registered webhook to which an event was sent."""
    body = {"url": f"{site.receiver.url}/registered", "events": ["run.completed"]}
    registered = client.create("/v1/webhooks", body).json()
    run_id = client.submit("talk")
    received = site.receiver.received
    until(
        lambda: any(r.path == "/registered" and r.event["run_id"] == run_id for r in received),
        "the registered webhook is sent the event",
    )
    assert client.http.delete(f"/v1/webhooks/{registered['id']}").status_code == 204
    tenant = client.get("/v1/webhook-secret")["secret"]
    return {"the secret of the tenant": tenant, "the secret of a webhook": registered["secret"]}


def _use_wrong_keys(client: Client) -> None:
    """Send requests that an API might repeat in its error or its log."""
    wrong = f"{API_KEY}-wrong"
    for path in ("/v1/runs", f"/v1/runs?key={API_KEY}", "/v1/nothing"):
        answer = client.http.get(path, headers={"Authorization": f"Bearer {wrong}"})
        assert answer.status_code in (401, 404)


def _received(site: Site) -> Iterator[Written]:
    for request in site.receiver.received:
        yield "body of a webhook", request.body
        yield "headers of a webhook", repr(request.headers).encode()


def _found(secrets: dict[str, str], written: list[Written]) -> Iterator[str]:
    forms = {name: list(_forms(secret)) for name, secret in secrets.items()}
    for where, data in written:
        for name, each in forms.items():
            if any(form in data for form in each):
                yield f"{name} is in {where}"


def _forms(secret: str) -> Iterator[bytes]:
    """The secret as it is, and as it is in URLs and in base64, at any position."""
    data = secret.encode()
    yield data
    yield quote(secret, safe="").encode()
    yield data.hex().encode()
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + data)
        yield encoded[4 if shift else 0 : -4]
