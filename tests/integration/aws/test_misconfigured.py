"""Functions whose settings are wrong: they refuse, and their log says why."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.support.aws_deployment import aws_deployment
from tests.support.aws_teams import write_teams
from tests.support.lambda_service import TICK, Failed
from tests.support.services import Moto

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]


@pytest.mark.parametrize(
    ("function", "environ", "mentions"),
    [
        ("api", {"TEAMRUN_SECRET_ENV": ""}, "TEAMRUN_API_KEYS"),
        ("api", {"TEAMRUN_QUEUE_URL": ""}, "TEAMRUN_QUEUE_URL"),
        ("api", {"TEAMRUN_SECRET_ENV": "absent"}, "GetSecretValue"),
        ("upkeep", {"TEAMRUN_QUEUE_URL": "redis://127.0.0.1:1/0"}, "sqs://"),
        ("upkeep", {"TEAMRUN_STORE_URL": "memory://"}, "TEAMRUN_STORE_URL"),
    ],
)
def test_a_function_refuses_wrong_settings(
    tmp_path: Path, moto_server: Moto, function: str, environ: Mapping[str, str], mentions: str
) -> None:
    write_teams(tmp_path)
    with aws_deployment(tmp_path, moto_server, environ=environ, starts=[]) as deployment:
        if function == "api":
            answer = httpx2.get(f"{deployment.url}/healthz", timeout=120)
            assert (answer.status_code, answer.json()) == (
                500,
                {"message": "Internal Server Error"},
            )
        else:
            with pytest.raises(Failed, match="UsageError"):
                deployment.functions[function].invoke(TICK)
        assert mentions in _reason(deployment.logs())


def _reason(logs: str) -> str:
    lines: list[dict[str, Any]] = [json.loads(x) for x in logs.splitlines() if x[:1] == "{"]
    found = [line for line in lines if line.get("action") == "function.misconfigured"]
    return found[0]["error"] if found else logs
