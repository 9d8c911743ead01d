"""Items of the queue that would end a worker are recognised before Celery handles them."""

import json
from base64 import b64encode
from typing import Any

import pytest

from teamrun.core.refs import RunRef
from teamrun.dispatch.celery import encode_message
from teamrun_worker.screening import fault_in, fault_in_item


def good() -> dict[str, Any]:
    return json.loads(encode_message([RunRef("default", "run_1"), RunRef("default", "run_2")]))


def encoded(value: object) -> str:
    return b64encode(json.dumps(value).encode()).decode()


def test_the_messages_of_the_dispatcher_are_valid() -> None:
    assert fault_in(good()) is None


@pytest.mark.parametrize("item", [None, 5, "hello", [], [1], True])
def test_an_item_that_is_no_object_is_invalid(item: object) -> None:
    assert fault_in(item) == "message"


CHANGES: list[tuple[tuple[str, ...], Any, str]] = [
    (("properties",), list[Any](), "properties"),
    (("properties",), None, "properties"),
    (("headers",), [1], "headers"),
    (("properties", "delivery_tag"), None, "properties.delivery_tag"),
    (("properties", "delivery_tag"), "\ud800", "properties.delivery_tag"),
    (("properties", "delivery_info"), 5, "properties.delivery_info"),
    (("properties", "delivery_info", "routing_key"), 5, "properties.delivery_info"),
    (("properties", "body_encoding"), "rot", "properties.body_encoding"),
    (("headers", "task"), 5, "headers.task"),
    (("headers", "id"), None, "headers.id"),
    (("headers", "timelimit"), "x", "headers.timelimit"),
    (("headers", "timelimit"), [1], "headers.timelimit"),
    (("headers", "retries"), "x", "headers.retries"),
    (("headers", "eta"), 5, "headers.eta"),
    (("headers", "eta"), "", "headers.eta"),
    (("headers", "expires"), "tomorrow", "headers.expires"),
    (("headers", "stamped_headers"), 5, "headers.stamped_headers"),
    (("headers", "stamped_headers"), [[1]], "headers.stamped_headers"),
    (("properties", "delivery_info"), dict[str, Any](), "properties.delivery_info"),
    (("content-type",), 5, "content-type"),
    (("content-type",), "", "content-type"),
    (("content-type",), "application/text", "content-type"),
    (("content-type",), "application/data", "content-type"),
    (("content-encoding",), "binary", "content-encoding"),
    (("body",), None, "body"),
    (("body",), "!!!", "body"),
    (("body",), encoded("not a triple"), "body"),
    (("body",), encoded([1]), "body"),
    (("body",), encoded([list[Any](), dict[str, Any](), None]), "body"),
    (("body",), b64encode(b"[" * 100_000).decode(), "body"),
    (("body",), b64encode(b"\xff\xfe").decode(), "body"),
]


@pytest.mark.parametrize(("path", "value", "part"), CHANGES)
def test_each_invalid_part_is_named(path: tuple[str, ...], value: object, part: str) -> None:
    message = good()
    place: Any = message
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    assert fault_in(message) == part


@pytest.mark.parametrize("name", ["properties", "headers", "body", "content-type"])
def test_a_missing_part_is_named(name: str) -> None:
    message = good()
    del message[name]
    assert fault_in(message) == name


@pytest.mark.parametrize(
    "item",
    [b"", b"hello", b"\xff\xfe", b"5", b"null", b"[" * 100_000, b'{"n":' + b"1" * 5_000 + b"}"],
)
def test_an_item_that_is_no_json_object_is_invalid(item: bytes) -> None:
    assert fault_in_item(item) == "message"


def test_the_items_of_the_dispatcher_are_valid() -> None:
    assert fault_in_item(encode_message([RunRef("default", "run_1")])) is None


@pytest.mark.parametrize("kind", ["uuid", "decimal", "bytes", "datetime", "unknown", [], None])
def test_values_that_kombu_would_convert_are_invalid(kind: object) -> None:
    """kombu replaces such an object while it parses, and a wrong value raises any error."""
    typed: dict[str, object] = {"__type__": kind, "__value__": 5}
    message = good()
    message["headers"]["lang"] = typed
    assert fault_in_item(json.dumps(message).encode()) == "message"
    assert fault_in_item(json.dumps(typed).encode()) == "message"
    body = encoded([["default.run_1", typed], dict[str, Any](), dict[str, Any]()])
    assert fault_in({**good(), "body": body}) == "body"
