"""Handing the conversation to another agent, as a tool that the model can call."""

from collections.abc import Sequence
from typing import Any, Final, cast

from pydantic import BaseModel, model_validator

from teamrun.core.checks import checked_list
from teamrun.json_types import JsonObject
from teamrun.tools.function import FunctionTool
from teamrun.tools.schema import ParametersSchema, ToolSchema

__all__ = ["Handoff", "handoffs_by_name"]


class Handoff(BaseModel, defer_build=True):
    """A way to hand over; only `target` has to be given."""

    target: str
    """The name of the agent that takes over."""
    description: str = ""
    """The description for the model; by default `Handoff to {target}.`."""
    name: str = ""
    """The tool's name for the model, a Python identifier; by default `transfer_to_{target}`."""
    message: str = ""
    """The message to the target; by default a sentence with its name."""

    @model_validator(mode="before")
    @classmethod
    def set_defaults(cls, data: Any) -> Any:
        """The fields with the values of those that are left out."""
        if not isinstance(data, dict) or "target" not in data:
            return cast("Any", data)  # refused by the model's own validation
        given = cast("JsonObject", data)
        target = given["target"]
        defaults = {
            "description": f"Handoff to {target}.",
            "name": f"transfer_to_{target}".lower(),
            "message": (f"Transferred to {target}, adopting the role of {target} immediately."),
        }
        name = given.get("name") or defaults["name"]
        if not str(name).isidentifier():
            raise ValueError(f"Handoff name must be a valid identifier, not {name!r}; set `name`.")
        return {**given, **{key: given.get(key) or text for key, text in defaults.items()}}

    @property
    def handoff_tool(self) -> FunctionTool:
        """The handoff as a tool that returns `message`."""

        async def hand_over() -> str:
            return self.message

        return FunctionTool(hand_over, self.description, name=self.name, strict=True)

    @property
    def tool_schema(self) -> ToolSchema:
        """The schema of `handoff_tool`."""
        if type(self).handoff_tool is not _TOOL:
            return self.handoff_tool.schema
        # To make the tool, and the class of its arguments, takes 2 ms.
        return ToolSchema(
            name=self.name,
            description=self.description,
            parameters=ParametersSchema(
                type="object", properties={}, required=[], additionalProperties=False
            ),
            strict=True,
        )


_TOOL: Final = Handoff.handoff_tool


def handoffs_by_name(handoffs: Sequence[Handoff | str]) -> dict[str, Handoff]:
    """The handoffs by the names that the model calls them by; a text is a target's name.

    Raises:
        ValueError: Something is neither, or two go by the same name.
    """
    named: dict[str, Handoff] = {}
    for handoff in checked_list(
        handoffs, parameter="handoffs", expected="a list of names and Handoff objects"
    ):
        made = Handoff(target=handoff) if isinstance(handoff, str) else handoff
        if not isinstance(made, Handoff):
            raise ValueError(
                f"Unsupported handoff type: {type(handoff)}. handoffs takes names of agents and "
                "Handoff objects."
            )
        if named.setdefault(made.name, made) is not made:
            raise ValueError(f"Handoff names must be unique; {made.name!r} occurs twice.")
    return named
