"""The packages of the functions on AWS Lambda: what is in them, and that nothing is missing."""

import hashlib
import json
import re
import sys
import sysconfig
from pathlib import Path
from typing import Any

import boto3
import function_packages
import pytest
from dev_environment import Failed
from function_packages import FUNCTIONS, RUNTIMES, Target, closure, install, pinned
from tests.support.function_packages import Packages
from tests.support.service import ROOT
from tests.support.services import Moto, moto

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(600),
]

KEY = "key_of_the_test"
MB = 1_000_000
PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"


def environ(server: Moto) -> dict[str, str]:
    """The variables of a function."""
    scopes = ["runs:read", "runs:write", "teams:read"]
    digest = hashlib.sha256(KEY.encode()).hexdigest()
    return {
        **server.environ(),
        "AWS_REGION": server.region,
        "AWS_ENDPOINT_URL": server.endpoint,
        "TEAMRUN_STORE_URL": server.url("runs", "runs"),
        "TEAMRUN_QUEUE_URL": "sqs://teamrun",
        "TEAMRUN_CONFIG": "teamrun.yaml",
        "TEAMRUN_ALLOW_SCRIPTED": "true",
        "TEAMRUN_API_KEYS": json.dumps(
            [{"name": "me", "sha256": digest, "scopes": scopes, "tenant": "default"}]
        ),
    }


def request(method: str, path: str, body: Any = None) -> dict[str, Any]:
    """An event of an HTTP API, in version 2.0."""
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"authorization": f"Bearer {KEY}", "content-type": "application/json"},
        "requestContext": {
            "stage": "$default",
            "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "1.2.3.4"},
        },
        "body": json.dumps(body) if body is not None else "",
        "isBase64Encoded": False,
    }


def received(sqs: Any, name: str) -> dict[str, Any]:
    """An event with the message that waits in a queue."""
    url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
    [message] = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=5)["Messages"]
    record: dict[str, Any] = {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": f"arn:aws:sqs:us-east-1:123456789012:{name}",
    }
    return {"Records": [record]}


def test_the_packages_execute_a_run_with_nothing_else_on_the_path(
    packages: Packages, site: Path, tmp_path: Path
) -> None:
    unpacked = {name: packages.unpack(name, tmp_path / name) for name in FUNCTIONS}
    with moto() as server:
        server.make_bucket("runs")
        sqs: Any = boto3.client(
            "sqs",
            endpoint_url=server.endpoint,
            region_name=server.region,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )
        for queue in ("interactive", "batch", "hooks"):
            sqs.create_queue(QueueName=f"teamrun-{queue}")
        variables = environ(server)

        def call(name: str, *events: Any) -> list[Any]:
            answers, files = unpacked[name].call(events, site=site, environ=variables)
            known = (
                str(tmp_path / name),
                str(site),
                sysconfig.get_paths()["stdlib"],
                sys.base_prefix,
            )
            assert [file for file in files if not file.startswith(known)] == []
            return answers

        task = {"team": "analysts", "input": "Which region sold most?"}
        [accepted] = call("api", request("POST", "/v1/runs", task))
        assert accepted["statusCode"] == 202, accepted["body"]
        [executed] = call("worker", received(sqs, "teamrun-interactive"))
        run_id = json.loads(accepted["body"])["id"]
        [shown] = call("api", request("GET", f"/v1/runs/{run_id}"))
        call("upkeep", {}, {"Records": []})
        call("dead_letters", {"Records": []})

    assert executed == {"batchItemFailures": []}
    run = json.loads(shown["body"])
    assert run["status"] == "completed", run["error"]


def test_what_the_runtime_has_and_what_nothing_reads_is_left_out(packages: Packages) -> None:
    for function in FUNCTIONS:
        names = packages.names(function)
        tops = {name.partition("/")[0] for name in names}

        assert {"teamrun", "teamrun_infra", "teamrun.yaml"} <= tops
        assert ("tools.py" in tops) is FUNCTIONS[function].runs_tools
        assert not tops & {"README.md", "notebook.ipynb"}
        assert not tops & {
            "boto3",
            "botocore",
            "pip",
            "pytest",
            "celery",
            "uvicorn",
            "bin",
            "tests",
        }
        assert ("teamrun_api" in tops) == ("fastapi" in tops) == (function == "api")
        assert ("openai" in tops) == (function == "worker")
        assert "teamrun_worker" not in tops
        assert not [name for name in names if name.startswith(("teamrun/cli/", "teamrun/client/"))]
        assert not [name for name in names if name.endswith((".pyi", "/RECORD", "py.typed"))]
        assert not [name for name in names if any(part.startswith(".") for part in name.split("/"))]


def test_every_module_is_compiled_for_the_runtime(packages: Packages) -> None:
    tag = f".cpython-{sys.version_info[0]}{sys.version_info[1]}.pyc"
    for function in FUNCTIONS:
        names = set(packages.names(function))
        modules = [name for name in names if name.endswith(".py")]
        compiled = {
            f"{folder}{'/' if folder else ''}__pycache__/{module.removesuffix('.py')}{tag}"
            for folder, _, module in (name.rpartition("/") for name in modules)
        }
        assert len(modules) > 200
        assert compiled <= names


def test_the_worker_is_far_below_the_limit(packages: Packages) -> None:
    assert packages.file("worker").stat().st_size < 50 * MB
    assert re.search(r"^worker +\d+\.\d\d MB +\d+\.\d\d MB$", packages.sizes, re.MULTILINE)
    built = json.loads((packages.folder / "built.json").read_text(encoding="utf-8"))
    assert built == {"architecture": "x86_64", "python": PYTHON}


def test_the_same_input_makes_the_same_bytes(
    packages: Packages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = {"dead_letters": FUNCTIONS["dead_letters"]}
    monkeypatch.setattr(function_packages, "FUNCTIONS", one)
    target = Target("x86_64", PYTHON)

    files = function_packages.build(target, team=ROOT / "examples", output=tmp_path)

    assert files["dead_letters"].read_bytes() == packages.file("dead_letters").read_bytes()


@pytest.mark.parametrize("python", RUNTIMES[1:])
def test_every_distribution_has_a_wheel_for_the_processor_of_arm(
    python: str, tmp_path: Path
) -> None:
    target = Target("arm64", python)
    wanted = {name for function in FUNCTIONS.values() for name in function.distributions}

    install(pinned(wanted, target), target, tmp_path / "wheels")

    assert list((tmp_path / "wheels" / "obstore").glob("*.so"))


def test_a_folder_without_the_file_of_the_operator_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Failed, match="--team"):
        function_packages.build(Target("arm64", "3.13"), team=tmp_path, output=tmp_path / "out")


def test_what_a_distribution_needs_depends_on_the_target() -> None:
    needed = closure(["httpx2", "obstore"], Target("arm64", "3.13"))

    assert {"httpx2", "httpcore2", "anyio", "obstore", "h11"} <= needed
    assert "httpx2-jsfetch" not in needed  # for a browser


def test_a_distribution_that_is_not_locked_is_named() -> None:
    with pytest.raises(Failed, match="no-such-package"):
        closure(["no-such-package"], Target("arm64", "3.13"))
