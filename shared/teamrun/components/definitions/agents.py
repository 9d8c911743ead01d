"""Agents as data."""

from string import Formatter
from typing import Annotated, Any, ClassVar, Final, Literal, TypeAlias

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from teamrun.components.definitions.base import (
    AgentName,
    BaseAgentDefinition,
    BaseDelegateDefinition,
    BaseParticipantDefinition,
    DelegateDefinition,
    Link,
    ModelName,
    Part,
    Repairs,
    SummaryFormat,
    ToolName,
    Uses,
)
from teamrun.components.definitions.contexts import ContextDefinition
from teamrun.components.definitions.mcp import McpWorkbenchDefinition
from teamrun.json_types import JsonObject
from teamrun.models.scalars import Count, Seconds, Switch, Temperature

__all__ = [
    "INLINE_TOOLS",
    "AssistantDefinition",
    "CustomDefinition",
    "HandoffDefinition",
    "InlineToolDefinition",
    "MemoryDefinition",
    "MemoryPieceDefinition",
    "ToolOfAgent",
    "UserProxyDefinition",
]


class HandoffDefinition(Part):
    """A way for an agent to give the conversation to another one."""

    target: AgentName
    description: str | None = None
    name: AgentName | None = None
    message: str | None = None


class MemoryPieceDefinition(Part):
    """One piece of a memory."""

    content: str
    mime_type: str = "text/plain"
    metadata: JsonObject | None = None


class MemoryDefinition(Part):
    """What the model is told in each turn, besides the conversation."""

    name: str | None = None
    memory_contents: tuple[MemoryPieceDefinition, ...] = ()


def _usable(schema: JsonObject) -> JsonObject:
    # Imported late: few agents answer in a form.
    from teamrun.core.schema_model import model_of_schema

    model_of_schema(schema)
    return schema


INLINE_TOOLS: Final = "inline_tools"
"""The name of the registered tool that executes functions of definitions."""


class InlineToolDefinition(Part):
    """A function that the definition brings along as source; a sandbox executes it."""

    name: ToolName
    description: str = Field(min_length=1, max_length=10_000)
    source: str = Field(min_length=1, max_length=65_536)
    """Python: imports, and the function."""

    @field_validator("source")
    @classmethod
    def _has_a_function(cls, source: str) -> str:
        # Imported late: few definitions have source.
        from teamrun.code.inline import signature

        signature(source)
        return source


ToolOfAgent: TypeAlias = str | BaseDelegateDefinition | InlineToolDefinition
"""A registered tool by its name, an agent or a team as a tool, or a function as source."""


class AssistantDefinition(BaseAgentDefinition):
    """An agent that answers with a model and uses tools."""

    type: Literal["assistant_agent"] = "assistant_agent"
    name: AgentName
    model: ModelName
    """A model profile of the operator."""
    system_message: str | None = None
    """None is the class's own text; the empty text is no system message at all."""
    description: str | None = None
    tools: tuple[ToolName | DelegateDefinition, ...] = ()
    """Registered tools by name, and agents and teams as tools."""
    inline_tools: tuple[InlineToolDefinition, ...] | None = Field(default=None, max_length=50)
    """Functions as source, if the operator has a sandbox for them."""
    workbench: tuple[McpWorkbenchDefinition, ...] | None = None
    """Sets of tools besides `tools`: those of MCP servers."""
    handoffs: tuple[HandoffDefinition, ...] = ()
    reflect_on_tool_use: Switch | None = None
    max_tool_iterations: Count = Field(default=1, le=1000)
    tool_call_summary_format: SummaryFormat | None = None
    tool_choice: Literal["auto", "required", "none"] | None = None
    temperature: Temperature | None = None
    """Sent with every call of the model; None leaves it to the profile."""
    model_client_stream: Switch = False
    model_context: ContextDefinition | None = None
    metadata: dict[str, str] | None = None
    memory: tuple[MemoryDefinition, ...] | None = None
    output_schema: Annotated[JsonObject, AfterValidator(_usable)] | None = None
    """JSON Schema of the answers; its `title` names their class."""
    output_format: str | None = None
    """How an answer is written as text, with its fields as `{names}`; None: as JSON."""
    output_repairs: Repairs | None = None
    """How often the model may correct an answer that does not fit; None: twice."""

    inner_fields: ClassVar[tuple[str, ...]] = ("tools",)

    @field_validator("inline_tools")
    @classmethod
    def _names_differ(
        cls, inline: tuple[InlineToolDefinition, ...] | None, info: ValidationInfo
    ) -> tuple[InlineToolDefinition, ...] | None:
        tools: tuple[ToolName | BaseDelegateDefinition, ...] = info.data.get("tools", ())
        taken = {each if isinstance(each, str) else each.tool_name for each in tools}
        for each in inline or ():
            if each.name in taken:
                raise ValueError(f"the tool {each.name!r} occurs twice; give one another name")
            taken.add(each.name)
        return inline

    @field_validator("output_format")
    @classmethod
    def _fields_of_the_format_exist(cls, format: str | None, info: ValidationInfo) -> str | None:
        if format is None or "output_schema" not in info.data:  # that is invalid itself
            return format
        schema = info.data["output_schema"]
        if schema is None:
            raise ValueError("needs 'output_schema'")
        known = schema.get("properties", {})
        for _, name, spec, sign in Formatter().parse(format):
            # Format specifications can produce gigabytes.
            if name is not None and (name not in known or spec or sign):
                names = ", ".join(f"{{{each}}}" for each in known)
                raise ValueError(f"takes {names} alone; a literal brace is written twice")
        return format

    @property
    def uses(self) -> Uses:
        """Its model and its registered tools."""
        names = tuple(each for each in self.tools if isinstance(each, str))
        names += (INLINE_TOOLS,) if self.inline_tools else ()
        sets = tuple(each.registered for each in self.workbench or ())
        return Uses(models=(self.model,), tools=(*names, *sets))

    @property
    def inner(self) -> tuple[BaseParticipantDefinition, ...]:
        """The agents and teams among its tools."""
        return tuple(each.runner for each in self.tools if not isinstance(each, str))

    @property
    def inner_names(self) -> tuple[str, ...]:
        """The names of those tools."""
        return tuple(each.tool_name for each in self.tools if not isinstance(each, str))

    @property
    def links(self) -> tuple[Link, ...]:
        """It may call each of them."""
        return tuple(Link("tool", None, name) for name in self.inner_names)

    @property
    def tool_names(self) -> tuple[str, ...]:
        """The names of its tools as the model sees them, and its MCP servers."""
        names = [each if isinstance(each, str) else each.tool_name for each in self.tools]
        names += [each.name for each in self.inline_tools or ()]
        return (*names, *(each.registered for each in self.workbench or ()))

    @property
    def hands_off(self) -> bool:
        """Whether it has handoffs."""
        return bool(self.handoffs)

    @property
    def handoff_targets(self) -> tuple[str, ...]:
        """The targets of its handoffs."""
        return tuple(handoff.target for handoff in self.handoffs)


class UserProxyDefinition(BaseAgentDefinition):
    """A person: the run waits for the answer without occupying a worker."""

    type: Literal["user_proxy_agent"] = "user_proxy_agent"
    name: AgentName
    description: str | None = None
    input_schema: JsonObject | None = None
    """JSON Schema of the answer's `data`; the JSON text of `data` becomes the agent's message."""
    expires_in_seconds: Seconds | None = Field(default=None, le=366 * 24 * 3600)
    """How long the run waits for each answer; None means without a limit."""
    default_answer: Any = None
    """The answer after the question expired: a text, or data that fits `input_schema`."""


class CustomDefinition(BaseAgentDefinition):
    """An agent of a class that the operator registered."""

    type: Literal["custom_agent"] = "custom_agent"
    name: AgentName
    agent: AgentName
    """The name under which the class is registered."""
    model: ModelName | None = None
    """A model profile, for a class that takes a model client."""
    description: str | None = None

    @property
    def uses(self) -> Uses:
        """Its class, and the model if it names one."""
        models = () if self.model is None else (self.model,)
        return Uses(models=models, agents=(self.agent,))
