"""Handoffs."""

import pytest
from pydantic import ValidationError

from teamrun.agents import Handoff
from teamrun.tools import FunctionTool


@pytest.mark.behaviour("assistant.handoff.defaults")
def test_only_a_target_has_to_be_given() -> None:
    assert Handoff(target="Bob") == Handoff(
        target="Bob",
        description="Handoff to Bob.",
        name="transfer_to_bob",
        message="Transferred to Bob, adopting the role of Bob immediately.",
    )


@pytest.mark.behaviour("assistant.handoff.defaults")
async def test_a_handoff_is_a_strict_tool_without_arguments() -> None:
    tool = Handoff(target="bob", message="over").handoff_tool

    assert tool.schema == {
        "name": "transfer_to_bob",
        "description": "Handoff to bob.",
        "parameters": {
            "type": "object",
            "properties": {},
            "required": [],
            "additionalProperties": False,
        },
        "strict": True,
    }
    assert await tool.run_json({}) == "over"
    assert Handoff(target="bob").tool_schema == tool.schema


def test_a_subclass_shows_the_model_its_own_tool() -> None:
    class Urgent(Handoff):
        @property
        def handoff_tool(self) -> FunctionTool:
            return FunctionTool(call_bob, "Call Bob at once.", name=self.name)

    async def call_bob(reason: str) -> None: ...

    schema = Urgent(target="bob").tool_schema
    assert schema.get("description") == "Call Bob at once."
    assert list(schema.get("parameters", {}).get("properties", {})) == ["reason"]


@pytest.mark.behaviour("assistant.handoff.name")
def test_names_are_identifiers() -> None:
    with pytest.raises(ValidationError) as raised:
        Handoff(target="bob the 2nd")
    assert [error["type"] for error in raised.value.errors()] == ["value_error"]
    assert Handoff(target="bob the 2nd", name="to_bob").name == "to_bob"


def test_a_handoff_survives_json() -> None:
    handoff = Handoff(target="bob", message="over")

    assert Handoff.model_validate_json(handoff.model_dump_json()) == handoff
