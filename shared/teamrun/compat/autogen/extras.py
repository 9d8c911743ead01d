"""Small names of AutoGen that exist for its scripts alone."""

import json
import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias, TypeGuard, cast

from pydantic import BaseModel

from teamrun.core.component.base import ComponentBase
from teamrun.core.schema_model import model_of_schema
from teamrun.json_types import JsonMapping, JsonObject
from teamrun.messages.image import Image
from teamrun.messages.llm import LLMMessage, UserMessage

__all__ = [
    "AGENTCHAT",
    "AGENTCHAT_EVENTS",
    "ComponentType",
    "content_to_str",
    "extract_json_from_str",
    "is_component_class",
    "is_component_instance",
    "remove_images",
    "schema_to_pydantic_model",
    "validate_model_info",
]

AGENTCHAT: Final = "autogen_agentchat"
AGENTCHAT_EVENTS: Final = "autogen_agentchat.events"
"""The names of the loggers of `autogen_agentchat`."""

ComponentType: TypeAlias = str
"""The kind of a component, such as `agent`; the kinds are not a closed set."""

_FENCED = re.compile(r"```[ \t]*([\w+-]*)[ \t]*\n(.*?)```", re.DOTALL)


def is_component_instance(cls: Any) -> TypeGuard[ComponentBase[Any]]:
    """Whether an object can be written as a component."""
    return isinstance(cls, ComponentBase)


def is_component_class(cls: Any) -> TypeGuard[type[ComponentBase[Any]]]:
    """Whether the objects of a class can be written as components."""
    return isinstance(cls, type) and issubclass(cls, ComponentBase)


def extract_json_from_str(content: str) -> list[JsonObject]:
    """The JSON of all fenced blocks of a text; of a text without blocks, that of the text.

    Raises:
        ValueError: A block is in another language, or is no JSON.
    """
    blocks = _FENCED.findall(content)
    for language, _ in blocks:
        if language.lower() not in {"", "json"}:
            raise ValueError(f"Expected JSON object, but found language: {language}")
    return [json.loads(text) for _, text in blocks] or [json.loads(content)]


def validate_model_info(model_info: Mapping[str, Any]) -> None:
    """Check that the capabilities of a model are complete.

    Raises:
        ValueError: One of the four fields that always existed is missing.
    """
    for field in ("vision", "function_calling", "json_output", "family"):
        if field not in model_info:
            raise ValueError(
                f"Missing required field '{field}' in ModelInfo. Starting in v0.4.7, the required "
                "fields will be enforced."
            )
    if "structured_output" not in model_info:
        warnings.warn(
            "Missing required field 'structured_output' in ModelInfo. This field will be required "
            "in a future version of AutoGen.",
            UserWarning,
            stacklevel=2,
        )


def content_to_str(content: Any) -> str:
    """The content of a message as text: the parts of a list in lines, an image as `<image>`."""
    if isinstance(content, str) or not isinstance(content, Sequence):
        return str(content)
    parts = cast("Sequence[object]", content)
    return "\n".join("<image>" if isinstance(part, Image) else str(part) for part in parts)


def remove_images(messages: Sequence[LLMMessage]) -> list[LLMMessage]:
    """The messages of a conversation, with `<image>` in place of each image."""
    return [
        UserMessage(content=content_to_str(message.content), source=message.source)
        if isinstance(message, UserMessage) and not isinstance(message.content, str)
        else message
        for message in messages
    ]


def schema_to_pydantic_model(
    schema: JsonMapping, model_name: str = "DynamicModel"
) -> type[BaseModel]:
    """A class whose objects fit a JSON Schema.

    Raises:
        ValueError: No class can be made of the schema.
    """
    return model_of_schema(schema, model_name)
