"""The result of a tool call as a workbench returns it."""

from typing import Annotated, Literal, cast

from pydantic import BaseModel, Field

from teamrun.messages.image import Image
from teamrun.messages.recordable import exception_text

__all__ = [
    "ImageResultContent",
    "ResultContent",
    "TextResultContent",
    "ToolResult",
    "error_text",
    "text_result",
]


class TextResultContent(BaseModel, defer_build=True):
    """Text of a tool's result."""

    type: Literal["TextResultContent"] = "TextResultContent"
    content: str


class ImageResultContent(BaseModel, defer_build=True):
    """An image of a tool's result."""

    type: Literal["ImageResultContent"] = "ImageResultContent"
    content: Image


ResultContent = Annotated[TextResultContent | ImageResultContent, Field(discriminator="type")]
"""One part of a tool's result."""


class ToolResult(BaseModel, defer_build=True):
    """The result of a tool call."""

    type: Literal["ToolResult"] = "ToolResult"
    name: str
    result: list[ResultContent]
    is_error: bool = False

    def to_text(self, replace_image: str | None = None) -> str:
        """The parts as text, one to a line.

        Args:
            replace_image: The text in place of an image; by default its base64 data.
        """
        return "\n".join(
            part.content
            if isinstance(part, TextResultContent)
            else replace_image or f"[Image: {part.content.to_base64()}]"
            for part in self.result
        )


def error_text(error: BaseException) -> str:
    """The text of an exception for the model; of a group, the texts of all."""
    if isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        return "\n".join(error_text(part) for part in group.exceptions)
    return exception_text(error)


def text_result(name: str, text: str, *, is_error: bool = False) -> ToolResult:
    """A result of one text."""
    content = TextResultContent(content=text)
    return ToolResult(name=name, result=[content], is_error=is_error)
