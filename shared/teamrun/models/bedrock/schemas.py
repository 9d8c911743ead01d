"""JSON schemas for answers in the form that Bedrock accepts.

It takes what strict mode takes, except limits of numbers, texts and lists, and classes that contain
themselves.
Source: https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html
"""

from pydantic import BaseModel

from teamrun.json_types import JsonObject
from teamrun.models.answer_forms import unlimited_schema

__all__ = ["answer_schema"]


def answer_schema(model: type[BaseModel]) -> JsonObject:
    """The `outputConfig.textFormat` for an answer that is to be read as `model`.

    Raises:
        NotStrict: The class has something that cannot be expressed, or contains itself.
    """
    schema = {"schema": unlimited_schema(model), "name": model.__name__[:64]}
    return {"type": "json_schema", "structure": {"jsonSchema": schema}}
