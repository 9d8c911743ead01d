"""Variables that a function reads from AWS Secrets Manager."""

import hashlib
import json
import os
import uuid
from contextlib import closing
from pathlib import Path
from typing import Any

import boto3
import pytest
from tests.support.aws_teams import write_teams
from tests.support.lambda_gateway import request_event
from tests.support.services import Moto

from teamrun.errors import UsageError
from teamrun_infra.aws import api
from teamrun_infra.aws.secret_environment import VARIABLE, SecretEnvironment

pytestmark = pytest.mark.integration

CANARY = "sk-canary-of-a-secret"


class Secrets:
    """Secrets of a test."""

    def __init__(self, moto: Moto) -> None:
        self.client: Any = boto3.client(
            "secretsmanager",
            region_name=moto.region,
            endpoint_url=moto.endpoint,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    def make(self, value: object, **given: Any) -> str:
        """The ARN of a new secret."""
        text = {"SecretString": value if isinstance(value, str) else json.dumps(value)}
        return self.client.create_secret(Name=uuid.uuid4().hex, **(given or text))["ARN"]

    def change(self, arn: str, value: object) -> None:
        self.client.put_secret_value(SecretId=arn, SecretString=json.dumps(value))


@pytest.fixture
def secrets(moto_server: Moto, monkeypatch: pytest.MonkeyPatch) -> Secrets:
    for name, value in moto_server.environ().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto_server.endpoint)
    monkeypatch.delenv("AWS_REGION", raising=False)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    return Secrets(moto_server)


async def test_a_secret_is_an_object_of_variables(secrets: Secrets) -> None:
    keys = [{"name": "ci", "sha256": "0" * 64, "scopes": ["runs:read"]}]
    first = secrets.make({"OPENAI_API_KEY": CANARY, "TEAMRUN_API_KEYS": keys, "A": "1"})
    second = secrets.make({"A": "2", "N": 7})
    environ = {VARIABLE: f"{first}, {second}", "A": "0", "OTHER": "kept"}
    assert await SecretEnvironment(environ).renew()
    assert environ.pop(VARIABLE)
    assert json.loads(environ.pop("TEAMRUN_API_KEYS")) == keys
    assert environ == {"OPENAI_API_KEY": CANARY, "A": "2", "N": "7", "OTHER": "kept"}


@pytest.mark.parametrize("value", [None, "", " , "])
async def test_without_secrets_nothing_is_read(value: str | None) -> None:
    environ = {} if value is None else {VARIABLE: value}
    before = dict(environ)
    assert not await SecretEnvironment(environ).renew()
    assert environ == before


async def test_secrets_are_read_again_after_a_time(secrets: Secrets) -> None:
    now = 0.0
    arn = secrets.make({"A": "1", "B": "1"})
    environ = {VARIABLE: arn}
    secret = SecretEnvironment(environ, clock=lambda: now)
    assert await secret.renew()
    secrets.change(arn, {"A": "2"})
    now = 299.0
    assert not await secret.renew()
    assert environ["A"] == "1"
    now = 301.0
    assert await secret.renew()
    assert environ == {VARIABLE: arn, "A": "2"}
    now = 602.0
    assert not await secret.renew()


async def test_an_instance_keeps_what_it_has_while_secrets_cannot_be_read(
    secrets: Secrets, caplog: pytest.LogCaptureFixture
) -> None:
    now = 0.0
    arn = secrets.make({"A": "1"})
    environ = {VARIABLE: arn}
    secret = SecretEnvironment(environ, clock=lambda: now)
    await secret.renew()
    secrets.client.delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)
    now = 301.0
    assert not await secret.renew()
    assert environ["A"] == "1"
    (record,) = caplog.records
    assert vars(record)["action"] == "function.secrets_stale"


async def test_what_an_instance_has_is_not_used_for_ever(
    secrets: Secrets, caplog: pytest.LogCaptureFixture
) -> None:
    times = iter([0.0, 301.0, 302.0, 602.0, 3599.0, 3900.0, 3901.0, 3902.0])
    arn = secrets.make({"A": "1", "KEY": "revoked"})
    environ = {VARIABLE: arn}
    secret = SecretEnvironment(environ, clock=lambda: next(times))
    await secret.renew()
    secrets.change(arn, {"A": "x\0y", "KEY": "new"})
    for _ in range(4):
        assert not await secret.renew()
        assert environ == {VARIABLE: arn, "A": "1", "KEY": "revoked"}
    assert [vars(each)["action"] for each in caplog.records] == ["function.secrets_stale"] * 3
    assert "variable A" in vars(caplog.records[0])["error"]
    for _ in range(2):
        with pytest.raises(UsageError, match="variable A"):
            await secret.renew()
    secrets.change(arn, {"A": "2", "KEY": "new"})
    assert await secret.renew()
    assert environ == {VARIABLE: arn, "A": "2", "KEY": "new"}


@pytest.mark.parametrize(
    ("value", "mentions"),
    [
        (CANARY, "JSON object"),
        ([CANARY], "JSON object"),
        ({CANARY: "1"}, "name of a variable"),
        (CANARY.encode(), "binary"),
        ({"A": "1", "B": f"{CANARY}\0", "C": "3"}, "variable B .*environment cannot hold"),
        ({"A": "1", "B": f"{CANARY}\ud800"}, "variable B .*environment cannot hold"),
        ({"A": "1", "B": f"{CANARY}\udc80"}, "variable B .*environment cannot hold"),
        ({"A": "1", "B": None}, "variable B .*null"),
        ({"A": "1", "B": True}, "variable B .*true"),
        ({"A": "1", "B": 1.0}, "variable B .*fraction"),
    ],
)
async def test_an_unusable_secret_is_an_error_that_does_not_show_it(
    secrets: Secrets, value: object, mentions: str
) -> None:
    is_binary = isinstance(value, bytes)
    arn = secrets.make("", SecretBinary=value) if is_binary else secrets.make(value)
    environ = {VARIABLE: f"{secrets.make({'FIRST': '1'})},{arn}"}
    before = dict(environ)
    with pytest.raises(UsageError, match=mentions) as caught:
        await SecretEnvironment(environ).renew()
    assert environ == before
    assert arn in str(caught.value)
    error: BaseException | None = caught.value
    assert caught.value.data["setting"] == "secret_env"
    while error is not None:
        assert CANARY not in f"{error!r} {vars(error)}"
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize(
    ("name", "mentions"),
    [
        ("arn:aws:secretsmanager:us-east-1:123456789012:secret:absent", "GetSecretValue"),
        ("arn:aws", "NoRegionError"),
        ("name-without-a-region", "NoRegionError"),
    ],
)
async def test_a_secret_that_cannot_be_read_is_an_error(
    secrets: Secrets, name: str, mentions: str
) -> None:
    with pytest.raises(UsageError, match=mentions) as caught:
        await SecretEnvironment({VARIABLE: name}).renew()
    assert name in str(caught.value)


class Time:
    """The context of an invocation with a minute left."""

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


def test_a_rotated_key_counts_from_the_first_request_after_five_minutes(
    secrets: Secrets, moto_server: Moto, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    now = 0.0
    write_teams(tmp_path)
    secret = secrets.make({"TEAMRUN_API_KEYS": _keys("old")})
    prefix, region = f"q{uuid.uuid4().hex}", moto_server.region
    for name, value in {
        "TEAMRUN_CONFIG": str(tmp_path / "teamrun.yaml"),
        "TEAMRUN_STORE_URL": str(tmp_path / "data"),
        "TEAMRUN_QUEUE_URL": f"sqs://{prefix}?region={region}&endpoint={moto_server.endpoint}",
        "TEAMRUN_ALLOW_SCRIPTED": "true",
        "TEAMRUN_API_KEYS": "[]",  # for the environment to be as before at the end
        VARIABLE: secret,
    }.items():
        monkeypatch.setenv(name, value)
    environment = SecretEnvironment(os.environ, clock=lambda: now)
    monkeypatch.setattr(api.instance, "_secrets", environment)

    def status(key: str) -> int:
        event = request_event("GET", "/v1/info", [("Authorization", f"Bearer {key}")], b"")
        answer: Any = api.handler(event, Time())
        return answer["statusCode"]

    with closing(api.instance):
        assert [status(key) for key in ("old", "new")] == [200, 401]
        secrets.change(secret, {"TEAMRUN_API_KEYS": _keys("old", "new")})
        now = 299.0
        assert [status(key) for key in ("old", "new")] == [200, 401]
        now = 301.0
        assert [status(key) for key in ("old", "new")] == [200, 200]
        secrets.change(secret, {"TEAMRUN_API_KEYS": _keys("new")})
        now = 602.0
        assert [status(key) for key in ("old", "new")] == [401, 200]


def _keys(*keys: str) -> list[dict[str, Any]]:
    return [
        {
            "name": key,
            "sha256": hashlib.sha256(key.encode()).hexdigest(),
            "scopes": ["runs:read", "teams:read"],
        }
        for key in keys
    ]
