"""The Dockerfile and the compose file, by validators and by what has to hold."""

import re
import shlex
from typing import Any

import pytest
import yaml
from tests.support.deploy_tools import deploy_tools, said
from tests.support.service import ROOT

from teamrun.settings import VARIABLES

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

DOCKERFILE = ROOT / "Dockerfile"
COMPOSE = ROOT / "compose.yaml"
EXAMPLE = ROOT / "infra" / "compose" / "example.env"


def instructions() -> list[tuple[str, str]]:
    """The instructions of the last stage: name and rest."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = text.replace("\\\n", " ").splitlines()
    found = [(name, rest) for name, _, rest in (line.partition(" ") for line in lines) if name]
    last = max(place for place, (name, _) in enumerate(found) if name == "FROM")
    return found[last:]


def services() -> dict[str, dict[str, Any]]:
    return yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]


def example_names() -> set[str]:
    lines = EXAMPLE.read_text(encoding="utf-8").splitlines()
    return {line.partition("=")[0] for line in lines if line and not line.startswith("#")}


def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    assert not said(deploy_tools() / "hadolint", DOCKERFILE)


def test_the_compose_file_fits_the_specification() -> None:
    said(deploy_tools() / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", COMPOSE)


def test_the_image_is_not_root_and_its_process_receives_signals() -> None:
    last = dict(instructions())

    assert re.fullmatch(r"\d{4,}:\d{4,}", last["USER"])
    assert last["ENTRYPOINT"].startswith("[") and last["CMD"].startswith("[")
    assert "HEALTHCHECK" in last
    assert not {"RUN", "ADD", "SHELL"} & {name for name, _ in instructions()}


def test_the_image_can_store_runs_by_default() -> None:
    last = instructions()
    [folder] = [value for _, rest in last for value in re.findall(r"TEAMRUN_DATA_DIR=(\S+)", rest)]

    assert ("COPY", f"--from=build --chown={dict(last)['USER']} {folder} {folder}") in last


def test_every_file_that_the_image_copies_reaches_the_build() -> None:
    kept = (ROOT / ".dockerignore").read_text(encoding="utf-8")
    text = DOCKERFILE.read_text(encoding="utf-8")
    [(files, _)] = re.findall(r"^COPY (?!--)(shared[^/]*) (/app/)$", text, re.MULTILINE)

    assert re.search(r"^\*$", kept, re.MULTILINE)
    assert all(f"!{name}" in kept for name in shlex.split(files))
    assert "!requirements*.lock" in kept


@pytest.mark.parametrize("name", [*services()])
def test_each_container_is_confined(name: str) -> None:
    service = services()[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert "privileged" not in service


def test_each_lasting_container_of_others_has_a_health_check_and_a_version() -> None:
    for name, service in services().items():
        if "build" not in service:
            assert "healthcheck" in service or service["restart"] == "no", name
            assert re.search(r":\d+\.\d+", service["image"]), name


def test_the_api_is_published_on_this_machine_only() -> None:
    assert services()["api"]["ports"] == ["127.0.0.1:8080:8080"]
    assert not any("ports" in service for name, service in services().items() if name != "api")


def test_a_worker_is_given_more_time_than_its_grace_time() -> None:
    worker = services()["worker"]
    grace_s = int(worker["environment"]["TEAMRUN_GRACE_SECONDS"])

    assert int(worker["stop_grace_period"].removesuffix("s")) >= grace_s + 10


def test_the_storage_server_is_given_only_its_own_secrets() -> None:
    files = {name: each.get("env_file", []) for name, each in services().items()}

    assert files["s3"] == ["compose.s3.env"]
    assert files["valkey"] == files["bucket"] == []
    assert files["api"] == files["worker"] == ["compose.s3.env", "compose.env"]
    assert not [name for name in example_names() if name.startswith("AWS_")]


def test_the_variables_exist_and_secrets_are_in_no_file() -> None:
    used = {name for each in services().values() for name in each.get("environment", {})}
    ours = {name for name in used | example_names() if name.startswith("TEAMRUN_")}

    assert ours <= VARIABLES
    assert not {"AWS_SECRET_ACCESS_KEY", "OPENAI_API_KEY", "TEAMRUN_API_KEYS"} & used
    assert re.search(r"^OPENAI_API_KEY=$", EXAMPLE.read_text("utf-8"), re.MULTILINE)
    assert re.search(r"^compose\*\.env$", (ROOT / ".gitignore").read_text("utf-8"), re.MULTILINE)
