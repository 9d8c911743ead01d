"""The files of a deployment on Azure Functions; the Bicep file is parsed by pycep."""

import json
import re
from typing import Any

import pytest
from tests.support.deploy_tools import deploy_tools, said
from tests.support.functions_worker import APP
from tests.support.service import ROOT

from teamrun.dispatch.queues import RUN_QUEUES, Queue
from teamrun.settings import VARIABLES

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

BICEP = ROOT / "infra" / "azure" / "main.bicep"
PROGRAM = """
import json, sys, pycep
print(json.dumps(pycep.BicepParser().parse(text=sys.stdin.read()), default=str))
"""


@pytest.fixture(scope="module")
def parsed() -> dict[str, Any]:
    text = BICEP.read_text(encoding="utf-8")
    return json.loads(said(deploy_tools() / "python", "-c", PROGRAM, stdin=text))


def test_the_queues_are_those_of_the_functions(parsed: dict[str, Any]) -> None:
    poison = [f"{queue}-poison" for queue in RUN_QUEUES]
    assert parsed["variables"]["queueNames"]["value"] == [*map(str, Queue), *poison]


def test_storage_takes_no_keys_and_is_not_public(parsed: dict[str, Any]) -> None:
    properties = parsed["resources"]["storage"]["config"]["properties"]
    assert properties["allowSharedKeyAccess"] is False
    assert properties["allowBlobPublicAccess"] is False
    assert properties["supportsHttpsTrafficOnly"] is True
    assert properties["minimumTlsVersion"] == "TLS1_2"
    text = BICEP.read_text(encoding="utf-8")
    assert not re.search(r"listKeys|AccountKey|DefaultEndpointsProtocol|\.sas\(", text)


def test_the_app_has_an_identity_with_four_roles(parsed: dict[str, Any]) -> None:
    assignments = [
        each
        for each in parsed["resources"].values()
        if each["type"] == "Microsoft.Authorization/roleAssignments"
    ]
    assert len(assignments) == 3  # that of the storage account is a loop over two roles
    assert len(parsed["variables"]["storageRoles"]["value"]) == 2
    app = parsed["resources"]["app"]["config"]
    assert app["identity"]["type"] == "UserAssigned"
    assert app["properties"]["httpsOnly"] is True


def test_a_deleted_vault_is_in_the_way_of_no_new_one(parsed: dict[str, Any]) -> None:
    vault = parsed["resources"]["vault"]["config"]["properties"]
    assert vault["enablePurgeProtection"] is True
    assert "recover" in json.dumps(vault["createMode"])
    assert {"recoverVault", "vaultName"} <= parsed["parameters"].keys()


def test_names_of_storage_and_queues_are_valid_for_every_name(parsed: dict[str, Any]) -> None:
    text = BICEP.read_text(encoding="utf-8")
    assert "to_lower" in json.dumps(parsed["variables"]["prefix"])
    for name in (
        r"'\$\{(\w+)\}-\$\{queue\}'",
        r"take\('\$\{(\w+)\}\$\{suffix\}",
        r"'azq://\$\{(\w+)\}\?",
    ):
        assert re.findall(name, text) == ["prefix"]


def test_every_variable_of_ours_exists(parsed: dict[str, Any]) -> None:
    text = json.dumps([parsed["resources"]["app"], parsed["variables"]])
    found = set(re.findall(r"TEAMRUN_[A-Z_]+", text))
    assert {"TEAMRUN_API_KEYS", "TEAMRUN_QUEUE_URL", "TEAMRUN_STORE_URL"} <= found
    assert found <= VARIABLES


def test_logs_are_deleted_after_a_time(parsed: dict[str, Any]) -> None:
    assert parsed["resources"]["logs"]["config"]["properties"]["retentionInDays"]
    assert parsed["resources"]["insights"]["config"]["properties"]["DisableLocalAuth"] is True


def test_the_packages_are_pinned_as_in_the_locks_and_name_no_host() -> None:
    text = (APP / "requirements.txt").read_text(encoding="utf-8")
    assert not re.search(r"://|@ |^-", text, re.MULTILINE)
    pins = set(re.findall(r"^([A-Za-z0-9._-]+==[^ ;\\]+)", text, re.MULTILINE))
    assert text.count("    --hash=sha256:") > len(pins) > 30
    names = {pin.partition("==")[0] for pin in pins}
    assert {"azure-functions", "azure-identity", "azure-storage-queue", "obstore"} <= names
    service = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    locked = set(re.findall(r"^([A-Za-z0-9._-]+==[^ ;\\]+)", service, re.MULTILINE))
    other = {pin for pin in locked if pin.partition("==")[0] in names} - pins
    assert not other
