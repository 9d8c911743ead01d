"""Agents as data."""

from typing import Any, Literal

from pydantic import Field

from teamrun.components.definitions.base import (
    AgentName,
    BaseAgentDefinition,
    ModelName,
    Part,
    SummaryFormat,
    ToolName,
    Uses,
)
from teamrun.components.definitions.contexts import ContextDefinition
from teamrun.json_types import JsonObject
from teamrun.models.scalars import Count, Seconds, Switch, Temperature

__all__ = ["AssistantDefinition", "CustomDefinition", "HandoffDefinition", "UserProxyDefinition"]


class HandoffDefinition(Part):
    """A way for an agent to give the conversation to another one."""

    target: AgentName
    description: str | None = None
    name: AgentName | None = None
    message: str | None = None


class AssistantDefinition(BaseAgentDefinition):
    """An agent that answers with a model and uses tools."""

    type: Literal["assistant_agent"] = "assistant_agent"
    name: AgentName
    model: ModelName
    """A model profile of the operator."""
    system_message: str | None = None
    """None is the class's own text; the empty text is no system message at all."""
    description: str | None = None
    tools: tuple[ToolName, ...] = ()
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

    @property
    def uses(self) -> Uses:
        """Its model and its tools."""
        return Uses(models=(self.model,), tools=self.tools)


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
