"""Frames of `application/vnd.amazon.eventstream`, written from the specification.

https://docs.aws.amazon.com/transcribe/latest/dg/streaming-setting-up.html#streaming-event-stream:
total length, length of the headers and their CRC, then headers, payload and the CRC of it all.
"""

import json
import struct
from typing import Any
from zlib import crc32

__all__ = ["corrupt", "event", "exception", "frame"]

_STRING = 7


def frame(headers: dict[str, str], payload: bytes) -> bytes:
    """One frame; all values of headers are texts."""
    head = b"".join(_header(name, value) for name, value in headers.items())
    prelude = struct.pack("!II", 12 + len(head) + len(payload) + 4, len(head))
    prelude += struct.pack("!I", crc32(prelude))
    body = prelude + head + payload
    return body + struct.pack("!I", crc32(body))


def event(kind: str, body: dict[str, Any]) -> bytes:
    """An event of ConverseStream; like the service, it pads the payload with `p`."""
    headers = {
        ":event-type": kind,
        ":content-type": "application/json",
        ":message-type": "event",
    }
    return frame(headers, json.dumps({**body, "p": "abcdefgh"}).encode())


def exception(kind: str, body: dict[str, Any]) -> bytes:
    """An exception within a stream."""
    headers = {
        ":exception-type": kind,
        ":content-type": "application/json",
        ":message-type": "exception",
    }
    return frame(headers, json.dumps(body).encode())


def corrupt(data: bytes) -> bytes:
    """The same frame with another byte in its payload, so that its CRC is wrong."""
    return data[:-6] + bytes([data[-6] ^ 1]) + data[-5:]


def _header(name: str, value: str) -> bytes:
    key, text = name.encode(), value.encode()
    return struct.pack("!B", len(key)) + key + struct.pack("!BH", _STRING, len(text)) + text
