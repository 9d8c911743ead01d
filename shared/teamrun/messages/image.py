"""Images in messages, without an imaging library."""

import base64
import binascii
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, GetCoreSchemaHandler, model_validator
from pydantic_core import CoreSchema

from teamrun.errors import MissingPackage, UsageError
from teamrun.messages.serialized import serialized_by

__all__ = ["Image"]

_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"RIFF", "image/webp"),
)
_DOCUMENTS = (b"%PDF", b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
"""PDF, and the formats of office programs."""


class Image(BaseModel, frozen=True, defer_build=True):
    """An image as its encoded bytes and media type; in JSON `{"data": "<base64>"}`."""

    data: bytes
    media_type: str = "image/png"

    def __init__(self, image: Any = None, /, **data: Any) -> None:
        """Take an image of PIL (`Image(PIL.Image.open("chart.png"))`), or the fields."""
        super().__init__(**({"data": _png(image)} if image is not None else data))

    @classmethod
    def from_pil(cls, pil_image: Any) -> Self:
        """Take an image of PIL, as PNG.

        Raises:
            TypeError: It is none.
        """
        return cls.from_bytes(_png(pil_image))

    @property
    def image(self) -> Any:
        """The image as an object of PIL, in RGB.

        Raises:
            MissingPackage: The package `pillow` is not installed.
        """
        try:
            pil: Any = import_module("PIL.Image")
        except ImportError as error:
            raise MissingPackage(
                "Image.image needs the package 'pillow': pip install pillow", package="pillow"
            ) from error
        return pil.open(BytesIO(self.data)).convert("RGB")

    def to_openai_format(
        self, detail: Literal["auto", "low", "high"] = "auto"
    ) -> dict[str, str | dict[str, str]]:
        """The image as a part of a message of OpenAI's chat completions API."""
        return {"type": "image_url", "image_url": {"url": self.data_uri, "detail": detail}}

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Take encoded bytes; the media type is read from the first of them.

        Raises:
            UsageError: The bytes are no PNG, JPEG, GIF or WebP.
        """
        for magic, media_type in _MAGIC:
            if data.startswith(magic):
                return cls.model_construct(data=data, media_type=media_type)
        if data.startswith(_DOCUMENTS):
            raise UsageError(
                "The bytes are a document, not an image. Messages take texts and images: put the "
                "document's text into the message, or make images of its pages."
            )
        raise UsageError(
            "Image bytes start like no PNG, JPEG, GIF or WebP; convert the image first."
        )

    @classmethod
    def from_base64(cls, text: str) -> Self:
        """Decode base64 text.

        Raises:
            UsageError: The text is not base64, or not an image.
        """
        try:
            return cls.from_bytes(base64.b64decode(text, validate=True))
        except binascii.Error as error:
            raise UsageError("Image data is not valid base64.") from error

    @classmethod
    def from_uri(cls, uri: str) -> Self:
        """Decode a `data:image/...;base64,` URI (RFC 2397)."""
        return cls.from_base64(uri.partition(";base64,")[2])

    @classmethod
    def from_file(cls, path: str | Path) -> Self:
        """Read an image file."""
        return cls.from_bytes(Path(path).read_bytes())

    def to_base64(self) -> str:
        """The bytes as base64 text."""
        return base64.b64encode(self.data).decode("ascii")

    @property
    def data_uri(self) -> str:
        """The image as a data URI (RFC 2397), the form that model APIs take."""
        return f"data:{self.media_type};base64,{self.to_base64()}"

    @model_validator(mode="before")
    @classmethod
    def _decode(cls, value: Any) -> Any:
        if isinstance(value, dict) and isinstance(value.get("data"), str):  # pyright: ignore[reportUnknownMemberType] - JSON of any shape
            return cls.from_base64(value["data"]).__dict__  # pyright: ignore[reportUnknownArgumentType] - a str, checked above
        return value  # pyright: ignore[reportUnknownVariableType] - refused by the next validator

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: Any, handler: GetCoreSchemaHandler, /
    ) -> CoreSchema:
        return serialized_by(_encoded, source, handler)


def _png(image: Any) -> bytes:
    if not callable(getattr(image, "save", None)):
        raise TypeError(
            f"Image takes an image of PIL, not {type(image).__name__}; see Image.from_bytes and "
            "Image.from_file."
        )
    file = BytesIO()
    image.convert("RGB").save(file, format="PNG")
    return file.getvalue()


def _encoded(image: Image) -> dict[str, str]:
    return {"data": image.to_base64()}
