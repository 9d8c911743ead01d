"""An unknown field of a body is named with the fields that the object at its place has."""

import json

import pytest
from pydantic import BaseModel

from teamrun.json_types import JsonObject
from teamrun.runs.service.requests import ForkRequest, RunRequest
from teamrun_api.bodies import parse_body
from teamrun_api.faults import InvalidBody, RequestFault
from teamrun_api.schemas import ResumeRequest, ValidateRequest


def _faults(body: JsonObject, model: type[BaseModel]) -> list[RequestFault]:
    with pytest.raises(InvalidBody) as caught:
        parse_body(json.dumps(body).encode(), model)
    return [*caught.value.faults]


def test_every_field_of_a_run_is_listed() -> None:
    (fault,) = _faults({"team": "a", "input": "x", "zzz": 1}, RunRequest)
    assert [name for name in RunRequest.model_fields if repr(name) not in fault.detail] == []


@pytest.mark.parametrize(
    ("model", "body", "pointer", "near"),
    [
        (RunRequest, {"limits": {"max_turn": 3}}, "/limits/max_turn", "max_turns"),
        (RunRequest, {"overrides": {"max_turn": 3}}, "/overrides/max_turn", "max_turns"),
        (RunRequest, {"retry": {"max_attempt": 3}}, "/retry/max_attempt", "max_attempts"),
        (
            RunRequest,
            {"limits": {"agents": {"a": {"max_token": 1}}}},
            "/limits/agents/a/max_token",
            "max_tokens",
        ),
        (
            RunRequest,
            {"input": {"messages": [{"content": "x", "sourc": "y"}]}},
            "/input/messages/0/sourc",
            "source",
        ),
        (ForkRequest, {"after_seq": 1, "input": {"contents": "x"}}, "/input/contents", "content"),
        (ResumeRequest, {"limits": {"max_turn": 3}}, "/limits/max_turn", "max_turns"),
        (ResumeRequest, {"frm": "here"}, "/frm", "from"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_an_unknown_field_is_named_with_the_nearest_of_its_object(
    model: type[BaseModel], body: JsonObject, pointer: str, near: str
) -> None:
    whole = {"team": "a", "input": "x"} | body if model is RunRequest else body
    found = {fault.pointer: fault for fault in _faults(whole, model)}
    assert found[pointer].code == "extra_forbidden"
    assert found[pointer].detail.endswith(f"Did you mean {near!r}?")


def test_an_unknown_field_is_reported_before_the_field_that_is_missing() -> None:
    found = _faults({"imput": "x", "team": "a"}, RunRequest)
    assert [fault.pointer for fault in found] == ["/imput", "/input"]


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, ["/input", "/team"]),
        ({"imput": "x"}, ["/imput", "/input", "/team"]),
        ({"team_spec": {}}, ["/input"]),
        ({"team": 7}, ["/input", "/team"]),
    ],
)
def test_a_missing_team_is_reported_with_the_other_faults(
    body: JsonObject, pointers: list[str]
) -> None:
    assert sorted(str(fault.pointer) for fault in _faults(body, RunRequest)) == pointers


def test_a_missing_team_is_reported_once() -> None:
    assert len(_faults({}, ValidateRequest)) == 1
