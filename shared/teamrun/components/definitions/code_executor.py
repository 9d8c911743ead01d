"""Agents that execute code, as data; a module of its own, because few teams have one."""

from typing import Literal, Self

from pydantic import Field, model_validator

from teamrun.components.definitions.base import (
    AgentName,
    BaseAgentDefinition,
    MemberName,
    ModelName,
    ToolName,
    Uses,
)
from teamrun.components.definitions.contexts import ContextDefinition
from teamrun.models.scalars import Count, Switch

__all__ = ["CodeExecutorDefinition"]


class CodeExecutorDefinition(BaseAgentDefinition):
    """An agent that executes code, with a tool that the operator registered for it."""

    type: Literal["code_executor_agent"] = "code_executor_agent"
    name: AgentName
    code_executor: ToolName
    """A registered `CodeExecutionTool`."""
    model: ModelName | None = None
    """The profile of the model that writes the code; None: the messages of others have it."""
    system_message: str | None = None
    """None is the class's own text; the empty text is no system message at all."""
    description: str | None = None
    sources: tuple[MemberName, ...] | None = None
    """Whose messages are searched for code; None: everyone's."""
    supported_languages: tuple[MemberName, ...] | None = Field(default=None, min_length=1)
    max_retries_on_error: Count | None = Field(default=None, le=100)
    """How many times the model may correct code that fails; None: not at all."""
    model_client_stream: Switch = False
    model_context: ContextDefinition | None = None

    @model_validator(mode="after")
    def _retries_need_a_model(self) -> Self:
        if self.max_retries_on_error is not None and self.model is None:
            raise ValueError("'max_retries_on_error' needs 'model', which corrects the code")
        return self

    @property
    def uses(self) -> Uses:
        """Its model and its executor."""
        models = () if self.model is None else (self.model,)
        return Uses(models=models, tools=(self.code_executor,))

    @property
    def hands_off(self) -> bool:
        """It answers with texts alone."""
        return False
