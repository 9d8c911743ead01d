import copy
import json
from typing import get_args

import pytest

from teamrun import client, errors
from teamrun.client.errors import TeamrunAPIError
from teamrun.client.problems import CODES, STATUSES, error_of
from teamrun.client.requests import Reply
from teamrun.components.reading.problems import ProblemCode
from teamrun.errors import TeamrunError


def error(status: int, code: str, **fields: object) -> TeamrunError:
    body = {"detail": "D.", "code": code, **fields}
    return error_of(Reply(status, {"x-request-id": "req_1"}, json.dumps(body).encode()))


@pytest.mark.parametrize(("code", "kind"), CODES.items())
def test_each_code_of_the_table_has_its_class(code: str, kind: type[TeamrunAPIError]) -> None:
    found = error(409, code, errors=[{"pointer": "/a", "detail": "D.", "code": code}])

    assert type(found) is kind
    assert found.code == code


@pytest.mark.parametrize(("status", "kind"), STATUSES.items())
def test_other_codes_have_the_class_of_their_status(
    status: int, kind: type[TeamrunAPIError]
) -> None:
    assert type(error(status, "added_later")) is kind


def test_a_failure_of_the_server_is_no_fault_of_the_request() -> None:
    found = error(503, "run_not_found")

    assert isinstance(found, errors.Unavailable)
    assert not isinstance(found, errors.UsageError)


@pytest.mark.parametrize("status", [402, 418, 451])
def test_unknown_statuses_have_the_class_of_their_hundred(status: int) -> None:
    assert type(error(status, "x")) is client.RequestError
    assert type(error(507, "x")) is client.ServerError


@pytest.mark.parametrize("code", get_args(ProblemCode))
def test_faults_of_a_definition_are_errors_of_the_library_too(code: str) -> None:
    found = error(422, code, errors=[{"pointer": "/team_spec/x", "detail": "E", "code": code}])

    assert isinstance(found, errors.DefinitionError)
    assert (found.code, found.pointer) == (code, "/team_spec/x")


def test_errors_keep_their_data_when_they_cross_a_process_boundary() -> None:
    found = error(409, "stale_action", run_id="run_1")
    again = copy.copy(found)  # as between processes: from what `__reduce__` returns

    assert type(again) is client.StaleActionError
    assert again.data == found.data
    assert (again.status, again.run_id, again.request_id) == (409, "run_1", "req_1")


def test_the_message_names_each_part_that_is_wrong() -> None:
    faults = [
        {"pointer": "/a", "detail": "No.", "code": "x"},
        {"header": "Prefer", "detail": "Neither.", "code": "y"},
    ]

    assert str(error(422, "invalid_body", errors=faults)) == "D.\n  /a: No.\n  Prefer: Neither."
    assert str(error(422, "invalid_body", errors=[{"pointer": "/a", "detail": "D."}])) == "/a: D."


def test_the_message_names_a_line_once() -> None:
    told, fault = "Line 2: No.", {"line": 2, "detail": "No."}

    assert str(error(422, "invalid_items", detail=told, errors=[fault])) == told


def test_the_message_names_a_field_once() -> None:
    told, fault = "input_url: No.", {"pointer": "/input_url", "detail": "No."}

    assert str(error(422, "invalid_items", detail=told, errors=[fault])) == told


def test_every_error_is_public() -> None:
    from teamrun.client import errors as module

    assert set(module.__all__) <= set(client.__all__)
