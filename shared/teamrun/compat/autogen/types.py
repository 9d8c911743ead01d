"""Small classes of AutoGen that exist for its scripts alone."""

from dataclasses import dataclass
from typing import Any, TypedDict, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from teamrun.core.schema_model import model_of_schema
from teamrun.json_types import JsonMapping, JsonObject
from teamrun.messages.chat import StructuredMessage
from teamrun.messages.llm import LLMMessage
from teamrun.teams.state import BaseState

__all__ = [
    "AssistantAgentState",
    "ChatCompletionContextState",
    "ChatCompletionTokenLogprob",
    "ModelCapabilities",
    "SocietyOfMindAgentState",
    "StructuredContentType",
    "StructuredMessageFactory",
    "TopLogprob",
]

StructuredContentType = TypeVar("StructuredContentType", bound=BaseModel, covariant=True)
"""The class of the content of a `StructuredMessage`."""


class AssistantAgentState(BaseState):
    """What `AssistantAgent.save_state` returns."""

    type: str = "AssistantAgentState"
    llm_context: JsonObject = Field(default_factory=dict)


class SocietyOfMindAgentState(BaseState):
    """What `SocietyOfMindAgent.save_state` returns; ours has the messages to it, too."""

    model_config = ConfigDict(extra="allow")

    type: str = "SocietyOfMindAgentState"
    inner_team_state: JsonObject = Field(default_factory=dict)


class ChatCompletionContextState(BaseModel):
    """What `save_state` of a context returns."""

    messages: list[LLMMessage] = []


class ModelCapabilities(TypedDict, total=False):
    """The capabilities of a model, as they were called before `ModelInfo`."""

    vision: bool
    function_calling: bool
    json_output: bool


@dataclass
class TopLogprob:
    """A token that the model might have chosen."""

    logprob: float
    bytes: list[int] | None = None


class ChatCompletionTokenLogprob(BaseModel):
    """The probability of one token of an answer."""

    token: str
    logprob: float
    top_logprobs: list[TopLogprob] | None = None
    bytes: list[int] | None = None


class StructuredMessageFactory:
    """Makes the class of structured messages of a JSON Schema, or of a class of content.

    Args:
        json_schema: The schema.
        input_model: The class of the content, in place of the schema.
        format_string: How such a message is written as text, with its fields as `{names}`.
        content_model_name: The name of the class that is made of the schema.

    Raises:
        ValueError: Neither is given, or no class can be made of the schema.
    """

    def __init__(
        self,
        json_schema: JsonMapping | None = None,
        input_model: type[BaseModel] | None = None,
        format_string: str | None = None,
        content_model_name: str | None = None,
    ) -> None:
        if input_model is None and json_schema is None:
            raise ValueError("Either `json_schema` or `input_model` must be provided.")
        self.format_string = format_string
        self.ContentModel: type[BaseModel] = (
            model_of_schema(json_schema or {}, content_model_name or "DynamicModel")
            if input_model is None
            else input_model
        )
        self.StructuredMessage: type[StructuredMessage[Any]] = StructuredMessage[self.ContentModel]
