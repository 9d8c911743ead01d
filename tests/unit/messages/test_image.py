"""Images, and messages with them, in the forms that AutoGen and the guides use."""

import sys
from pathlib import Path
from typing import Any

import pytest

from teamrun.core import Response
from teamrun.errors import MissingPackage
from teamrun.messages import Image, TextMessage, UserMessage

PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 8


class Drawing:
    """An image of PIL, as far as it is needed here."""

    def convert(self, mode: str) -> "Drawing":
        assert mode == "RGB"
        return self

    def save(self, file: Any, format: str) -> None:
        assert format == "PNG"
        file.write(PNG)


@pytest.mark.behaviour("message.image")
def test_an_image_of_pil_is_taken() -> None:
    for image in (Image(Drawing()), Image.from_pil(Drawing())):
        assert (image.data, image.media_type) == (PNG, "image/png")


@pytest.mark.behaviour("message.image")
def test_an_image_is_read_from_each_form(tmp_path: Path) -> None:
    image = Image.from_bytes(PNG)
    (tmp_path / "a.png").write_bytes(PNG)

    read = [
        Image.from_file(tmp_path / "a.png"),
        Image.from_base64(image.to_base64()),
        Image.from_uri(image.data_uri),
    ]
    assert read == [image] * 3


def test_what_is_no_image_is_named() -> None:
    with pytest.raises(TypeError, match="Image takes an image of PIL, not str"):
        Image("chart.png")


@pytest.mark.behaviour("message.image")
def test_an_image_is_still_data() -> None:
    image = Image.from_bytes(PNG)

    assert Image(data=PNG) == image
    message = UserMessage(content=["Look", image], source="user")
    assert UserMessage.model_validate_json(message.model_dump_json()) == message
    assert image.to_openai_format("low") == {
        "type": "image_url",
        "image_url": {"url": image.data_uri, "detail": "low"},
    }


@pytest.mark.behaviour("message.image.encoding")
def test_without_pillow_there_is_no_object_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)

    with pytest.raises(MissingPackage, match="pip install pillow"):
        _ = Image.from_bytes(PNG).image


@pytest.mark.behaviour("message.response")
def test_a_response_is_sliced_and_joined_as_its_text() -> None:
    response = Response(chat_message=TextMessage(content="tea is hot", source="a"))

    assert (response[:3], response + "!", "So " + response) == (
        "tea",
        "tea is hot!",
        "So tea is hot",
    )
