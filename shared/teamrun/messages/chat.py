"""Messages that agents send each other.

A message is made once and then shared: by the thread of a team, by the buffers of its
participants and, as one `UserMessage`, by the model contexts of all agents that receive it.
So nothing here copies, and a message must not be changed after it was sent.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import (
    Annotated,
    Any,
    Generic,
    Literal,
    Protocol,
    Self,
    TypeAlias,
    TypeVar,
    cast,
    runtime_checkable,
)

from pydantic import BaseModel, ConfigDict, Field, model_validator

from teamrun.json_types import JsonMapping, JsonObject
from teamrun.messages.construct import Compact, blank
from teamrun.messages.image import Image
from teamrun.messages.llm import (
    FunctionCall,
    FunctionExecutionResult,
    LLMMessage,
    RequestUsage,
    UserMessage,
)
from teamrun.messages.origin import new_id, now
from teamrun.messages.other_forms import as_image, multimodal_fields
from teamrun.messages.serialized import ByItsClass

__all__ = [
    "BaseChatMessage",
    "BaseMessage",
    "BaseTextChatMessage",
    "HandoffMessage",
    "JsonContent",
    "MultiModalMessage",
    "MultimodalMessage",
    "StopMessage",
    "StructuredMessage",
    "TextMessage",
    "ToolCallSummaryMessage",
]


class BaseMessage(Compact, ABC):
    """The base of everything that a team produces: chat messages and agent events."""

    __slots__ = ("_path",)  # of `teamrun.messages.path`

    id: str = Field(default_factory=new_id)
    """Unique; a UUID unless the sender gave another one."""
    source: str
    """The name of the agent, team or person that sent it."""
    models_usage: RequestUsage | None = None
    """The usage of the model call that produced it, if there was one."""
    metadata: dict[str, str] = Field(default_factory=dict)
    """Notes of the user's own; nothing here reads them."""
    created_at: datetime = Field(default_factory=now)
    """When it was made, in UTC."""

    @abstractmethod
    def to_text(self) -> str:
        """The message as text for people: consoles, logs, conditions on text."""

    def dump(self) -> JsonObject:
        """The message as JSON data; `type` is the name of its class."""
        return self.model_dump(mode="json")

    @classmethod
    def load(cls, data: JsonMapping) -> Self:
        """Make the message again from the data of `dump`.

        Raises:
            pydantic.ValidationError: The data are not a message of this class.
        """
        return cls.model_validate(data)


class BaseChatMessage(BaseMessage, ABC):
    """The base of messages from one agent to others; they enter the others' model contexts."""

    __slots__ = ("_shared_model",)

    @abstractmethod
    def to_model_text(self) -> str:
        """The message as text for a model."""

    def to_model_message(self) -> UserMessage:
        """The message for a model; every caller gets the same object."""
        return self._shared(self.to_model_text())

    def _shared(self, content: str | list[str | Image]) -> UserMessage:
        # One UserMessage for every context that receives this message. The identity checks keep
        # it right when a field has been set since.
        try:
            known = _get_slot(self, BaseChatMessage)
        except AttributeError:
            known = None
        source = self.source
        if known is not None:
            values = known.__dict__  # each attribute of a pydantic object takes as long as this
            if values["content"] is content and values["source"] is source:
                return known
        message, values = blank(UserMessage)
        values["content"] = content
        values["source"] = source
        values["type"] = "UserMessage"
        _set_slot(self, message)
        return message


# A slot and not a private attribute: those add a third to the cost of making a message. And
# not __dict__: pydantic's serializers take what lies there for an unexpected field.
_slot = vars(BaseChatMessage)["_shared_model"]
_get_slot: Callable[[BaseChatMessage, type[BaseChatMessage]], UserMessage] = _slot.__get__
_set_slot: Callable[[BaseChatMessage, UserMessage], None] = _slot.__set__


class BaseTextChatMessage(BaseChatMessage, ABC):
    """The base of chat messages whose content is text."""

    content: str

    def to_text(self) -> str:
        """The content."""
        return self.content

    def to_model_text(self) -> str:
        """The content."""
        return self.content

    def to_model_message(self) -> UserMessage:
        """The content as a message of `source`; every caller gets the same object."""
        return self._shared(self.content)


@runtime_checkable
class _CarriesMessage(Protocol):
    @property
    def chat_message(self) -> BaseChatMessage: ...


def _text_of(content: Any) -> Any:
    if isinstance(content, _CarriesMessage):
        content = content.chat_message
    return content.to_text() if isinstance(content, BaseMessage) else content


class TextMessage(BaseTextChatMessage):
    """Plain text.

    `content` may also be given as a message or a `Response`, whose text is then taken;
    `models_used`, a list of model names, is kept in `metadata["models_used"]`.
    """

    type: Literal["TextMessage"] = "TextMessage"

    @model_validator(mode="before")
    @classmethod
    def _accept_other_forms(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data  # refused, or taken as it is, by the model's own validation
        fields = cast("JsonObject", data)
        if not isinstance(fields.get("content", ""), str):
            fields = {**fields, "content": _text_of(fields["content"])}
        if "models_used" in fields:
            fields = _with_models_in_metadata(**fields)
        return fields


def _with_models_in_metadata(
    *,
    models_used: str | Sequence[str],
    metadata: Mapping[str, str] | None = None,
    **fields: Any,
) -> JsonObject:
    joined = models_used if isinstance(models_used, str) else ",".join(models_used)
    return {**fields, "metadata": {**(metadata or {}), "models_used": joined}}


class StopMessage(BaseTextChatMessage):
    """A text that requests the end of the conversation."""

    type: Literal["StopMessage"] = "StopMessage"


class HandoffMessage(BaseTextChatMessage):
    """A text that hands the conversation to another agent."""

    target: str
    """The name of the agent that takes over."""
    context: list[LLMMessage] = Field(default_factory=list[LLMMessage])
    """Context for the target besides the text, such as tool results of the same turn."""
    type: Literal["HandoffMessage"] = "HandoffMessage"


class ToolCallSummaryMessage(BaseTextChatMessage):
    """The results of tool calls as the answer of an agent."""

    tool_calls: list[FunctionCall]
    results: list[FunctionExecutionResult]
    type: Literal["ToolCallSummaryMessage"] = "ToolCallSummaryMessage"


class MultiModalMessage(BaseChatMessage):
    """Texts and images in order.

    It may also be given as a text, `images` (encoded bytes or `Image`) and `documents`
    (`{"name": ..., "text": ...}`), which are added to the content as text.
    """

    content: list[str | Image]
    type: Literal["MultiModalMessage"] = "MultiModalMessage"

    @model_validator(mode="before")
    @classmethod
    def _accept_other_forms(cls, data: Any) -> Any:
        return multimodal_fields(data)

    def add_image(self, image: Image | bytes) -> Self:
        """Add an image to a message that was not sent yet.

        Raises:
            UsageError: The bytes are not an image.
        """
        self.content.append(cast("Image", as_image(image)))
        return self

    def to_text(self) -> str:
        """The texts, one per line, with `<image>` in place of each image."""
        return "\n".join(part if isinstance(part, str) else "<image>" for part in self.content)

    def to_model_text(self, image_placeholder: str | None = "[image]") -> str:
        """The texts with a placeholder for each image.

        Args:
            image_placeholder: The text in place of an image; None inserts its base64 data.
        """
        return "".join(
            part if isinstance(part, str) else f" {image_placeholder or part.to_base64()}"
            for part in self.content
        )

    def to_model_message(self) -> UserMessage:
        """The content with its images; every caller gets the same object."""
        return self._shared(self.content)


MultimodalMessage: TypeAlias = MultiModalMessage
"""The same class in another spelling."""


class JsonContent(BaseModel):
    """Structured content whose class is unknown to the reader."""

    model_config = ConfigDict(extra="allow", defer_build=True)


ContentT = TypeVar("ContentT", bound=BaseModel)


class StructuredMessage(BaseChatMessage, Generic[ContentT]):
    """A pydantic object as content; `StructuredMessage[Answer](content=..., source=...)`."""

    content: Annotated[ContentT, ByItsClass()]
    format_string: str | None = None
    """How to write the content as text, with its fields as `{names}`; JSON without one."""
    type: str = Field(default="", pattern=r"^$|^StructuredMessage\b")
    """The name of the class, such as `StructuredMessage[Answer]`."""

    def model_post_init(self, context: Any, /) -> None:
        """Set `type` unless it was loaded."""
        if not self.type:
            self.type = type(self).__name__

    def to_text(self) -> str:
        """The content in the form of `format_string`, or as JSON."""
        if self.format_string is None:
            return self.content.model_dump_json()
        return self.format_string.format(**self.content.model_dump())

    def to_model_text(self) -> str:
        """The same as `to_text`."""
        return self.to_text()
