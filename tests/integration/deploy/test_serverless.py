"""`serverless.yml`, packaged by osls, checked by cfn-lint, and what has to hold in its template."""

import json
import re
import shutil
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, cast

import pytest
from function_packages import RUNTIMES
from tests.support.deploy_tools import said
from tests.support.function_packages import Packages
from tests.support.service import ROOT
from tests.support.services import not_here

from teamrun.dispatch.address import read_queue_url
from teamrun.dispatch.queues import RUN_QUEUES, Queue
from teamrun.settings import VARIABLES
from teamrun.storage.address import read_store_url

pytestmark = [
    pytest.mark.integration,
    pytest.mark.node,
    pytest.mark.timeout(600),
]

OSLS = ROOT / "tests" / "node" / "node_modules" / "osls" / "bin" / "serverless.js"

STORE = {
    *("s3:ListBucket", "s3:GetObject", "s3:PutObject", "s3:DeleteObject"),
    "s3:AbortMultipartUpload",
}
EVERY = {
    *("logs:CreateLogStream", "logs:PutLogEvents", "secretsmanager:GetSecretValue", *STORE),
    *("sqs:SendMessage", "sqs:GetQueueUrl", "sqs:GetQueueAttributes"),
}
RECEIVING = {"sqs:ReceiveMessage", "sqs:DeleteMessage"}
HIDING = {"sqs:ChangeMessageVisibility"}
MODELS = {
    *("bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream"),
    "bedrock:ApplyGuardrail",
}

ACTIONS = {
    "ApiRole": EVERY,
    "WorkerRole": EVERY | RECEIVING | MODELS,
    "UpkeepRole": EVERY | RECEIVING,
    "DeadLettersRole": EVERY | RECEIVING | HIDING,
}
"""All that each role may do."""

WIDE = {
    "Log": "log streams are named by Lambda",
    "Runs": "the objects of runs have no fixed names",
    "Models": "the models are those that teamrun.yaml names",
    "Guardrails": "the guardrails are those that teamrun.yaml names",
}
"""The statements whose resources end with `*`, and why."""

EVERY_PARAMETER = {
    "alarms": "on",
    "alarm_topic": "arn:aws:sns:eu-central-1:123456789012:ops",
    "api_burst": "20",
    "api_concurrency": "5",
    "api_rate": "10",
    "batch_concurrency": "20",
    "guardrails": "arn:aws:bedrock:eu-central-1:123456789012:guardrail/g1",
    "interactive_concurrency": "50",
    "log_days": "90",
    "log_level": "warning",
    "memory": "1024",
    "models": "arn:aws:bedrock:*::foundation-model/m1,"
    "arn:aws:bedrock:eu-central-1:123456789012:imported-model/m2",
}
"""All that `docs/how-to/deploy-aws.md` describes."""

NEW_ACCOUNT = 10
"""Concurrent executions of a new account.
Source: https://docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html"""

BUILT = {"architecture": "arm64", "python": RUNTIMES[-1]}

Template = dict[str, Any]


@pytest.fixture(scope="session")
def service(packages: Packages, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the files that osls reads, with the packages of this build."""
    if shutil.which("node") is None:
        not_here("Node is not on PATH")
    if not OSLS.is_file():
        not_here("osls is not installed: npm ci --prefix tests/node")
    folder = tmp_path_factory.mktemp("service")
    shutil.copy(ROOT / "serverless.yml", folder)
    shutil.copytree(ROOT / "infra" / "aws", folder / "infra" / "aws")
    shutil.copytree(packages.folder, folder / "dist" / "lambda")
    # The packages of the tests are for the Python of the tests, which Lambda may no longer have.
    (folder / "dist" / "lambda" / "built.json").write_text(json.dumps(BUILT), encoding="utf-8")
    return folder


def osls(service: Path, *words: str) -> str:
    # A home without AWS profiles: packaging needs no account.
    offline = {"HOME": str(service), "AWS_EC2_METADATA_DISABLED": "true"}
    return said("node", OSLS, *words, cwd=service, environ=offline)


@pytest.fixture(scope="session")
def template_file(service: Path) -> Path:
    osls(service, "package", "--stage", "test", "--package", "built")
    return service / "built" / "cloudformation-template-update-stack.json"


@pytest.fixture(scope="session")
def full_file(service: Path) -> Path:
    """The template with all parameters."""
    given = [word for pair in EVERY_PARAMETER.items() for word in ("--param", "=".join(pair))]
    osls(service, "package", "--stage", "test", "--package", "full", *given)
    return service / "full" / "cloudformation-template-update-stack.json"


@pytest.fixture(scope="session")
def full(full_file: Path) -> Template:
    return json.loads(full_file.read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def template(template_file: Path) -> Template:
    return json.loads(template_file.read_text(encoding="utf-8"))


def of_type(template: Template, kind: str) -> dict[str, Any]:
    """The properties of the resources of a kind, by their names."""
    return {
        name: resource["Properties"]
        for name, resource in template["Resources"].items()
        if resource["Type"] == f"AWS::{kind}"
    }


def statements(template: Template) -> Iterator[tuple[str, dict[str, Any]]]:
    """What the roles allow."""
    for name, role in of_type(template, "IAM::Role").items():
        for policy in role["Policies"]:
            for statement in policy["PolicyDocument"]["Statement"]:
                yield name, statement


def listed(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else [value]


def consumers(template: Template) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """For each queue the mapping and the function that it calls."""
    functions = of_type(template, "Lambda::Function")
    return {
        mapping["EventSourceArn"]["Fn::GetAtt"][0]: (
            mapping,
            functions[mapping["FunctionName"]["Fn::GetAtt"][0]],
        )
        for mapping in of_type(template, "Lambda::EventSourceMapping").values()
    }


def test_it_is_printed_and_packaged_without_an_account(service: Path, template: Template) -> None:
    printed = osls(service, "print", "--stage", "test", "--format", "json")

    assert json.loads(printed)["service"] == "teamrun"
    assert len(of_type(template, "Lambda::Function")) == 4


def test_it_is_printed_before_anything_is_built(service: Path, tmp_path: Path) -> None:
    shutil.copy(service / "serverless.yml", tmp_path)
    shutil.copytree(service / "infra", tmp_path / "infra")

    printed = osls(tmp_path, "print", "--stage", "test", "--format", "json")

    assert json.loads(printed)["provider"]["runtime"].removeprefix("python") in RUNTIMES


def test_cfn_lint_finds_nothing_in_the_template(template_file: Path, full_file: Path) -> None:
    lint = Path(sys.executable).with_name("cfn-lint")
    if not lint.is_file():
        not_here("cfn-lint is not installed")
    # W3005 is about dependencies that osls writes in addition to references.
    regions = ("us-east-1", "eu-central-1")
    assert not said(
        lint, "--ignore-checks", "W3005", "--regions", *regions, "-t", template_file, full_file
    )


def test_each_role_has_the_actions_that_its_function_calls_and_no_others(
    template: Template,
) -> None:
    allowed: dict[str, set[str]] = {}
    for name, statement in statements(template):
        assert statement["Effect"] == "Allow"
        allowed.setdefault(name, set()).update(listed(statement["Action"]))
    used = {
        function["Role"]["Fn::GetAtt"][0]
        for function in of_type(template, "Lambda::Function").values()
    }

    assert allowed == ACTIONS
    assert used == ACTIONS.keys()
    assert not any("*" in action for actions in allowed.values() for action in actions)
    assert not any(
        role.get("ManagedPolicyArns") for role in of_type(template, "IAM::Role").values()
    )


def test_no_statement_is_about_all_resources(template: Template) -> None:
    for name, statement in statements(template):
        for resource in listed(statement["Resource"]):
            text = json.dumps(resource)
            assert "*" not in text or statement["Sid"] in WIDE, (name, statement)
            assert resource != "*"


def test_a_role_of_one_function_cannot_receive_for_another(template: Template) -> None:
    received = {
        name: {resource["Fn::GetAtt"][0] for resource in listed(statement["Resource"])}
        for name, statement in statements(template)
        if statement["Sid"] == "Receive"
    }
    assert received == {
        "WorkerRole": {"InteractiveQueue", "BatchQueue"},
        "UpkeepRole": {"HooksQueue"},
        "DeadLettersRole": {"DeadQueue"},
    }
    assert {queue for queues in received.values() for queue in queues} == consumers(template).keys()


def test_buckets_are_encrypted_private_and_need_tls(template: Template) -> None:
    buckets = of_type(template, "S3::Bucket")
    denied = {
        policy["Bucket"]["Ref"]: statement
        for policy in of_type(template, "S3::BucketPolicy").values()
        for statement in policy["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Deny"
        and statement["Condition"]["Bool"]["aws:SecureTransport"] in ("false", False)
    }
    assert denied.keys() == buckets.keys()
    for bucket in buckets.values():
        assert bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}


def test_runs_are_never_expired_or_versioned_by_the_bucket_and_outlive_the_stack(
    template: Template,
) -> None:
    runs = template["Resources"]["Runs"]
    [rule] = runs["Properties"]["LifecycleConfiguration"]["Rules"]

    assert runs["UpdateReplacePolicy"] == "Retain"
    assert "VersioningConfiguration" not in runs["Properties"]
    assert not [name for name in rule if "Expir" in name or "Transition" in name]
    assert rule["AbortIncompleteMultipartUpload"]


@pytest.mark.parametrize("name", ["Runs", "Secrets"])
def test_what_outlives_a_stack_is_not_in_the_way_of_the_next_one(
    template: Template, name: str
) -> None:
    resource = template["Resources"][name]
    given = resource["Properties"].get("Name", resource["Properties"].get("BucketName"))

    assert resource["DeletionPolicy"] == "RetainExceptOnCreate"
    assert given is None or "AWS::StackId" in json.dumps(given)
    assert {"Ref": name} in [output["Value"] for output in template["Outputs"].values()]


def test_queues_are_encrypted_and_give_up_late(template: Template) -> None:
    queues = of_type(template, "SQS::Queue")
    [policy] = of_type(template, "SQS::QueuePolicy").values()

    assert {queue["Ref"] for queue in policy["Queues"]} == queues.keys()
    for name, queue in queues.items():
        assert queue["SqsManagedSseEnabled"] is True
        mapping, function = consumers(template)[name]
        assert queue["VisibilityTimeout"] >= 6 * function["Timeout"]
        assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        assert 2 <= mapping["ScalingConfig"]["MaximumConcurrency"] <= 1000
        if name != "DeadQueue":
            redrive = queue["RedrivePolicy"]
            assert redrive["deadLetterTargetArn"] == {"Fn::GetAtt": ["DeadQueue", "Arn"]}
            assert redrive["maxReceiveCount"] >= 5


def test_the_queues_have_the_names_that_the_library_uses(template: Template) -> None:
    names = {queue["QueueName"] for queue in of_type(template, "SQS::Queue").values()}
    urls = {
        function["Environment"]["Variables"]["TEAMRUN_QUEUE_URL"]
        for function in of_type(template, "Lambda::Function").values()
    }
    address = read_queue_url(urls.pop())

    assert not urls
    assert names == {*(address.name_of(queue) for queue in Queue), f"{address.prefix}-dead"}
    for queue in RUN_QUEUES:
        mapping, function = consumers(template)[f"{str(queue).title()}Queue"]
        assert mapping["BatchSize"] == 1
        assert function["Timeout"] == 900


def test_functions_run_what_was_built_and_may_call_themselves(
    template: Template, packages: Packages
) -> None:
    called_by_queues = {function["FunctionName"] for _, function in consumers(template).values()}
    for function in of_type(template, "Lambda::Function").values():
        module, _, name = function["Handler"].rpartition(".")
        package = Path(function["Code"]["S3Key"]).stem
        assert module.endswith(f".{package}") and name == "handler"
        assert f"{module.replace('.', '/')}.py" in packages.names(package)
        assert function["Runtime"] == f"python{BUILT['python']}"
        assert function["Architectures"] == [BUILT["architecture"]]
        loops = function.get("RecursiveLoop")
        assert (loops == "Allow") == (function["FunctionName"] in called_by_queues)
        assert "TracingConfig" not in function and "VpcConfig" not in function


def test_settings_exist_and_secrets_are_only_named(template: Template) -> None:
    for function in of_type(template, "Lambda::Function").values():
        variables = function["Environment"]["Variables"]
        assert variables.keys() <= VARIABLES
        assert variables["TEAMRUN_SECRET_ENV"] == {"Ref": "Secrets"}
        assert not {"TEAMRUN_API_KEYS", "TEAMRUN_REDIS_URL"} & variables.keys()
        url = variables["TEAMRUN_STORE_URL"]["Fn::Sub"]
        filled = re.sub(r"\$\{(?:AWS::)?(\w+)\}", lambda found: found[1].lower(), url)
        assert read_store_url(filled).kind == "s3"


def test_each_function_has_a_log_whose_lines_expire(template: Template) -> None:
    groups = {
        group["LogGroupName"]: group["RetentionInDays"]
        for group in of_type(template, "Logs::LogGroup").values()
    }
    names = {each["FunctionName"] for each in of_type(template, "Lambda::Function").values()}

    assert groups.keys() == {f"/aws/lambda/{name}" for name in names} | {
        "/aws/http-api/teamrun-test"
    }
    assert all(0 < days <= 90 for days in groups.values())
    for role, statement in statements(template):
        if statement["Sid"] == "Log":
            pattern = statement["Resource"]["Fn::Sub"].partition(":log-group:")[2]
            assert [name for name in groups if fnmatchcase(f"{name}:stream", pattern)], role


def test_the_upkeep_is_called_each_minute_and_not_repeated(template: Template) -> None:
    [rule] = of_type(template, "Events::Rule").values()
    [config] = of_type(template, "Lambda::EventInvokeConfig").values()

    assert rule["ScheduleExpression"] == "rate(1 minute)"
    assert rule["State"] == "ENABLED"
    assert config["MaximumRetryAttempts"] == 0
    assert template["Resources"]["UpkeepLambdaFunction"]["Properties"]["Timeout"] > 60


def test_the_api_answers_before_the_gateway_gives_up(template: Template) -> None:
    [integration] = of_type(template, "ApiGatewayV2::Integration").values()
    [api] = of_type(template, "ApiGatewayV2::Api").values()

    assert integration["PayloadFormatVersion"] == "2.0"
    assert template["Resources"]["ApiLambdaFunction"]["Properties"]["Timeout"] < 30
    assert api["ProtocolType"] == "HTTP"


def test_the_api_is_throttled_and_its_log_has_no_queries_or_headers(
    template: Template, full: Template
) -> None:
    for each, rate, burst in ((template, 100, 200), (full, 10, 20)):
        [stage] = of_type(each, "ApiGatewayV2::Stage").values()
        limits = stage["DefaultRouteSettings"]
        assert int(limits["ThrottlingRateLimit"]) == rate
        assert int(limits["ThrottlingBurstLimit"]) == burst
        assert set(re.findall(r"\$context\.(\w+)", stage["AccessLogSettings"]["Format"])) == {
            *("requestTime", "requestId", "httpMethod", "path", "status"),
            *("responseLength", "responseLatency", "integrationErrorMessage"),
        }


def test_the_functions_fit_into_the_quota_of_a_new_account(template: Template) -> None:
    maxima = [
        mapping["ScalingConfig"]["MaximumConcurrency"]
        for mapping, _ in consumers(template).values()
    ]

    assert sum(maxima) < NEW_ACCOUNT
    for function in of_type(template, "Lambda::Function").values():
        # Lambda refuses a reservation that leaves fewer than 100 to the others.
        assert "ReservedConcurrentExecutions" not in function


def test_parameters_reach_the_template(full: Template) -> None:
    functions = of_type(full, "Lambda::Function")
    found = {queue: mapping["ScalingConfig"] for queue, (mapping, _) in consumers(full).items()}

    assert int(functions["ApiLambdaFunction"]["ReservedConcurrentExecutions"]) == 5
    assert {int(function["MemorySize"]) for function in functions.values()} == {1024}
    assert int(found["InteractiveQueue"]["MaximumConcurrency"]) == 50
    assert int(found["BatchQueue"]["MaximumConcurrency"]) == 20
    resources = {
        statement["Sid"]: statement["Resource"]["Fn::Split"][1]
        for _, statement in statements(full)
        if statement["Sid"] in {"Models", "Guardrails"}
    }
    assert resources == {
        "Models": EVERY_PARAMETER["models"],
        "Guardrails": EVERY_PARAMETER["guardrails"],
    }


def test_the_worker_may_invoke_every_kind_of_model_that_the_client_knows(
    template: Template,
) -> None:
    [models] = [each for _, each in statements(template) if each["Sid"] == "Models"]
    arns = [arn["Fn::Sub"] for arn in models["Resource"]["Fn::Split"][1]["Fn::Join"][1]]

    # Source: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonbedrock.html
    assert {arn.rpartition(":")[2] for arn in arns} == {
        *("foundation-model/*", "inference-profile/*", "application-inference-profile/*"),
        *("provisioned-model/*", "imported-model/*", "custom-model-deployment/*"),
        *("default-prompt-router/*", "prompt-router/*"),
    }
    # Models of a provider have no account; all others are those of this one.
    assert [arn for arn in arns if "${AWS::AccountId}" not in arn] == [arns[0]]


def test_alarms_are_optional_and_reach_their_topic(template: Template, full: Template) -> None:
    assert of_type(template, "CloudWatch::Alarm").keys() == {"DeadLettersWait"}
    names = {each["FunctionName"] for each in of_type(full, "Lambda::Function").values()}
    alarms = of_type(full, "CloudWatch::Alarm").values()
    errors = {each["Dimensions"][0]["Value"] for each in alarms if each["MetricName"] == "Errors"}

    assert errors == names
    assert len(alarms) == len(names) + 3
    assert all(each["AlarmActions"] == [EVERY_PARAMETER["alarm_topic"]] for each in alarms)


def test_the_page_has_every_parameter() -> None:
    files = [ROOT / "serverless.yml", *(ROOT / "infra" / "aws").glob("*.yml")]
    text = "".join(file.read_text(encoding="utf-8") for file in files)
    page = (ROOT / "docs/how-to/deploy-aws.md").read_text(encoding="utf-8")

    assert set(re.findall(r"\{param:(\w+)", text)) == EVERY_PARAMETER.keys()
    assert set(re.findall(r"--param (\w+)=", page)) == EVERY_PARAMETER.keys()
