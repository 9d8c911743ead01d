"""The Helm chart, rendered by helm and checked against the schemas of Kubernetes."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.deploy_tools import deploy_tools, said
from tests.support.service import ROOT
from tests.support.services import not_here

from teamrun.components.team_file import load_registry
from teamrun.dispatch.queues import RUN_QUEUES
from teamrun.settings import VARIABLES
from teamrun.version import VERSION

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

NODE = ROOT / "tests" / "node"
CHART = ROOT / "infra" / "helm" / "teamrun"
NEEDED = ("store.url=s3://bucket/prefix", "secret.name=teamrun")
EVERYTHING = (
    *NEEDED,
    "networkPolicy.enabled=true",
    "api.ingress.enabled=true",
    "api.ingress.host=teamrun.example",
    "api.ingress.className=nginx",
    "api.ingress.tlsSecret=tls",
    "env.TEAMRUN_RETENTION_DAYS=30",
    "worker.nodeSelector.disk=ssd",
    "serviceAccount.annotations.role=reader",
    r"podLabels.azure\.workload\.identity/use=true",
    r"podAnnotations.example\.com/owner=ops",
)
BARE = (*NEEDED, "keda.enabled=false", "api.replicas=1", "team.existingConfigMap=ours")


def helm(command: str, *values: str, status: int = 0) -> str:
    given = [word for value in values for word in (_flag(value), value)]
    name = ("teamrun",) if command == "template" else ()
    return said(deploy_tools() / "helm", command, *name, CHART, *given, status=status)


def _flag(value: str) -> str:
    is_text = value.startswith(("env.", "pod"))
    return "--set-string" if is_text else "--set"


def rendered(*values: str) -> dict[tuple[str, str], Any]:
    """The objects by kind and name."""
    found = [each for each in yaml.safe_load_all(helm("template", *values)) if each]
    return {(each["kind"], each["metadata"]["name"]): each for each in found}


@pytest.mark.parametrize("values", [NEEDED, EVERYTHING, BARE], ids=["needed", "everything", "bare"])
def test_every_object_fits_the_schema_of_its_kind(values: tuple[str, ...], tmp_path: Path) -> None:
    file = tmp_path / "objects.yaml"
    file.write_text(helm("template", *values), encoding="utf-8")

    helm("lint", *values)
    for version in ("1.30", "1.37"):
        tool = deploy_tools() / "kubernetes-validate"
        said(tool, "--strict", "--version", version, "--quiet", file)


def test_what_is_missing_is_named() -> None:
    assert "store.url is needed" in helm("template", "secret.name=x", status=1)
    assert "secret.name is needed" in helm("template", "store.url=s3://b/p", status=1)


@pytest.mark.parametrize(
    "value",
    [
        "worker.minReplicas=0",
        "worker.replicas=3",
        "store.url=file:///data",
        "env.TEAMRUN_STORE_URL=s3://other",
        "env.TEAMRUN_MAX_RUNS=5",
        "env.TEAMRUN_METRICS_PORT=9091",
        "env.TEAMRUN_PORT=80",
        r"podLabels.app\.kubernetes\.io/instance=other",
        "podAnnotations.checksum/team=none",
        "team.files.a/b=text",
        "keda.messagesPerWorker=none",
    ],
)
def test_values_that_cannot_work_are_refused(value: str) -> None:
    assert "values don't meet the specifications" in helm("template", *NEEDED, value, status=1)


@pytest.mark.parametrize(
    ("values", "names"),
    [
        (("worker.minReplicas=5", "worker.maxReplicas=4"), "worker.minReplicas is 5"),
        (
            ("serviceAccount.create=false", "serviceAccount.annotations.role=reader"),
            "serviceAccount.create",
        ),
    ],
)
def test_values_that_contradict_each_other_are_refused(values: tuple[str, ...], names: str) -> None:
    assert names in helm("template", *NEEDED, *values, status=1)


def test_a_variable_that_the_chart_sets_cannot_be_given_again() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    refused = set(schema["properties"]["env"]["propertyNames"]["not"]["enum"])
    for part in ("api", "worker"):
        pod = rendered(*NEEDED)["Deployment", f"teamrun-{part}"]["spec"]["template"]["spec"]
        [container] = pod["containers"]
        given = {f"TEAMRUN_{word[2:].upper()}" for word in container["args"] if word[:2] == "--"}
        names = [each["name"] for each in container["env"]]

        assert {*names, *given} <= refused
        assert len(names) == len({*names})


@pytest.mark.parametrize("part", ["api", "worker"])
def test_pods_have_more_labels_and_annotations_and_are_spread(part: str) -> None:
    pod = rendered(*EVERYTHING)["Deployment", f"teamrun-{part}"]["spec"]["template"]

    assert pod["metadata"]["labels"]["azure.workload.identity/use"] == "true"
    assert pod["metadata"]["labels"]["app.kubernetes.io/component"] == part
    assert pod["metadata"]["annotations"]["example.com/owner"] == "ops"
    assert pod["spec"]["enableServiceLinks"] is False
    [spread] = pod["spec"]["topologySpreadConstraints"]
    assert spread["labelSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()


def test_the_chart_has_the_version_of_the_package() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))

    assert (chart["version"], chart["appVersion"]) == (VERSION, VERSION)


@pytest.mark.parametrize("part", ["api", "worker"])
def test_a_pod_is_confined_and_has_every_probe(part: str) -> None:
    pod = rendered(*NEEDED)["Deployment", f"teamrun-{part}"]["spec"]["template"]["spec"]
    [container] = pod["containers"]

    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    probes = [container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "readiness", "liveness")]
    assert {probe["port"] for probe in probes} == {container["ports"][0]["name"]}
    assert [probe["path"] for probe in probes][::2] == ["/readyz", "/healthz"]
    assert container["resources"]["limits"]["memory"]


def test_a_worker_has_more_time_to_end_than_its_grace_time() -> None:
    pod = rendered(*NEEDED, "worker.graceSeconds=90")["Deployment", "teamrun-worker"]["spec"][
        "template"
    ]["spec"]
    environment = {each["name"]: each["value"] for each in pod["containers"][0]["env"]}

    assert environment["TEAMRUN_GRACE_SECONDS"] == "90"
    # `Host.close` waits for the grace time and four times five seconds, and five more.
    assert pod["terminationGracePeriodSeconds"] >= 90 + 25


def test_all_variables_are_settings() -> None:
    objects = rendered(*EVERYTHING)
    deployments = [each for (kind, _), each in objects.items() if kind == "Deployment"]
    pods = [each["spec"]["template"]["spec"] for each in deployments]
    names = {each["name"] for pod in pods for each in pod["containers"][0]["env"]}

    assert names <= VARIABLES
    assert "TEAMRUN_RETENTION_DAYS" in names


def test_workers_scale_with_each_queue_that_they_report() -> None:
    objects = rendered(*NEEDED)
    scaled = objects["ScaledObject", "teamrun-worker"]["spec"]
    service = objects["Service", "teamrun-worker"]
    locations = [each["metadata"]["valueLocation"] for each in scaled["triggers"]]

    assert scaled["minReplicaCount"] >= 1
    assert "replicas" not in objects["Deployment", "teamrun-worker"]["spec"]
    assert sorted(locations) == sorted(
        f'teamrun_queue_messages{{queue="{queue}"}}' for queue in RUN_QUEUES
    )
    for trigger in scaled["triggers"]:
        host = re.match(r"http://([\w-]+)\.default\.svc:(\d+)/metrics$", trigger["metadata"]["url"])
        assert host is not None
        assert host[1] == service["metadata"]["name"]
        assert int(host[2]) == service["spec"]["ports"][0]["port"]


@pytest.mark.node
def test_the_scaling_fits_the_schema_of_keda() -> None:
    if not (NODE / "node_modules" / "@kubernetes-models" / "keda").is_dir():
        not_here("the schema of KEDA is not installed: npm ci --prefix tests/node")
    scaled = rendered(*NEEDED)["ScaledObject", "teamrun-worker"]
    program = NODE / "validate_keda.mjs"

    said("node", program, stdin=json.dumps(scaled))

    scaled["spec"]["minReplicaCount"] = "one"
    assert "minReplicaCount" in said("node", program, stdin=json.dumps(scaled), status=1)


def test_without_keda_there_is_a_fixed_number_of_workers() -> None:
    objects = rendered(*BARE)

    assert objects["Deployment", "teamrun-worker"]["spec"]["replicas"] == 1
    assert not any(kind in {"ScaledObject", "ConfigMap"} for kind, _ in objects)
    assert ("PodDisruptionBudget", "teamrun-api") not in objects


def test_selectors_select_their_own_pods_only() -> None:
    objects = rendered(*EVERYTHING)
    labels = {
        name: each["spec"]["template"]["metadata"]["labels"]
        for (kind, name), each in objects.items()
        if kind == "Deployment"
    }
    selectors = {
        (kind, name): each["spec"].get("podSelector", each["spec"].get("selector"))
        for (kind, name), each in objects.items()
        if kind in {"Service", "Deployment", "PodDisruptionBudget", "NetworkPolicy"}
    }
    assert len(selectors) == 8
    for (_, name), selector in selectors.items():
        wanted = selector.get("matchLabels", selector)
        assert [pod for pod in labels if wanted.items() <= labels[pod].items()] == [name]


def test_the_team_of_the_chart_is_valid(tmp_path: Path) -> None:
    files = rendered(*NEEDED)["ConfigMap", "teamrun"]["data"]
    file = tmp_path / "teamrun.yaml"
    file.write_text(files["teamrun.yaml"], encoding="utf-8")

    registry = load_registry(file, environ={"OPENAI_API_KEY": "key"})

    assert [team.name for team in registry.teams()] == ["helpers"]
