"""One reader for the error bodies of model servers, whatever their shape.

Seen in use: `{"error": {"message", "code", "type"}}` (OpenAI), the same within a list (Gemini),
`{"error": "text"}` (Ollama, TGI), `{"detail": "text" or [{"loc", "msg"}]}` (FastAPI),
`{"message", "code"}` (vLLM, Mistral), `{"error_code", "message"}` (Databricks), `{"base_resp":
{"status_code", "status_msg"}}` (MiniMax), `{"errors": [...]}` (Cloudflare), text, web pages.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

from teamrun.json_types import JsonObject
from teamrun.models.content_filter import filtered_categories

__all__ = ["ErrorBody", "has_secret", "is_error", "read_error", "tidy"]

Json = JsonObject

_MESSAGE_CHARS = 1_000
_READ_CHARS = 8_000
"""No more of a page or a text is looked at."""
_ITEMS = 5
_DEPTH = 6
_WORDS = (
    "message",
    "error_description",
    "error",
    "detail",
    "errors",
    "msg",
    "error_message",
    "error_msg",
    "status_msg",
    "description",
    "Message",
    "base_resp",
    "title",
    "reason",
)
"""Members with the words, or with an object that has them; the first that is not empty counts."""
_NESTED = ("error", "errors", "detail", "base_resp")
_STATUS = ("code", "status", "status_code", "statusCode", "error_code", "http_code")
_CODE = ("code", "error_code", "status_code")
_KIND = ("type", "status", "error_type")
_REDACTED = "[redacted]"
_KEYS = re.compile(
    r"\b(?:sk|pk|rk|gsk|csk|xai|hf|nvapi|pplx|ghp|gho|glpat|github_pat)[-_][\w-]{8,}"
    r"|\bAIza[\w-]{20,}|\bA[KS]IA[A-Z0-9]{12,}|\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"
)
_NAMED_KEYS = re.compile(
    r"(bearer\s+|(?:api[-_ ]?key|token|secret|password)[\"']?\s*[:=]\s*[\"']?)"
    r"(?=[^\s\"',;}&]*\d)[^\s\"',;}&]{8,}",
    re.IGNORECASE,
)
_TITLE = re.compile(r"<title[^>]*>([^<]+)", re.IGNORECASE)
_TAGS = re.compile(r"<[^>]*>")


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorBody:
    """The error that a body describes."""

    words: str
    """Empty if there are none; not cut and not redacted yet."""
    status: int | None = None
    """An HTTP status from 400 on that the body names, which counts if the answer's own is 200."""
    code: str | None = None
    """The provider's code, else its type of error."""
    kinds: frozenset[str] = frozenset()
    """Codes and types in lower case."""
    filtered: Sequence[str] = ()
    """Categories of a content filter that blocked the request."""


def read_error(body: object, *, is_one: bool = False) -> ErrorBody:
    """The error that the body of a response, or of an event in a stream, describes.

    Args:
        body: Bytes, text, or parsed JSON.
        is_one: It is certainly an error: if it has no known member, its JSON is the message.
    """
    if isinstance(body, bytes | str):
        body = _parsed(body)
    if isinstance(body, str):
        return ErrorBody(words=_plain(body))
    nodes = list(_nodes(body))
    codes = [str(node[name]) for node in nodes for name in _CODE if _is_name(node.get(name))]
    kinds = [str(node[name]) for node in nodes for name in _KIND if _is_name(node.get(name))]
    return ErrorBody(
        words=_words_with_parameter(body, nodes)
        or (json.dumps(body, ensure_ascii=False) if is_one and body else ""),
        status=next(_statuses(nodes), None),
        code=next(iter(codes + kinds), None),
        kinds=frozenset(kind.lower() for kind in codes + kinds),
        filtered=filtered_categories(body),
    )


def _words_with_parameter(body: object, nodes: Sequence[Json]) -> str:
    """The words, and OpenAI's `param` if it names something that they do not."""
    words = _words(body)
    named = next((node["param"] for node in nodes if _is_name(node.get("param"))), None)
    return (
        f"{words} ({named})" if words and named is not None and str(named) not in words else words
    )


def is_error(data: Json) -> bool:
    """Whether the JSON of an answer, or of a chunk, declares that it is an error."""
    return bool(data.get("object") == "error" or _has_content(data.get("error")))


def has_secret(text: str, secrets: Sequence[str]) -> bool:
    """Whether a text contains one of the secrets, or something that looks like a key."""
    if any(secret in text for secret in secrets if secret):
        return True
    return bool(_KEYS.search(text) or _NAMED_KEYS.search(text))


def tidy(text: str, secrets: Sequence[str] = ()) -> str:
    """The text without keys, and cut to 1,000 characters.

    Args:
        text: A server's message.
        secrets: Values to remove from the text.
    """
    text = text[:_READ_CHARS]
    for secret in filter(None, secrets):
        text = text.replace(secret, _REDACTED)
    text = _NAMED_KEYS.sub(rf"\1{_REDACTED}", _KEYS.sub(_REDACTED, text))
    return text if len(text) <= _MESSAGE_CHARS else text[: _MESSAGE_CHARS - 1] + "…"


def _parsed(body: bytes | str) -> object:
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else body
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text.strip()


def _plain(text: str) -> str:
    text = text[:_READ_CHARS]
    if not text.startswith("<"):
        return text
    title = _TITLE.search(text)
    return " ".join((title[1] if title else _TAGS.sub(" ", text)).split())


def _nodes(body: object, depth: int = 0) -> Iterator[Json]:
    """The objects that describe the error, the innermost first."""
    if depth > _DEPTH:
        return
    if isinstance(body, list):
        for item in cast(list[object], body)[:_ITEMS]:
            yield from _nodes(item, depth + 1)
    elif isinstance(body, dict):
        node = cast(Json, body)
        for name in _NESTED:
            yield from _nodes(node.get(name), depth + 1)
        yield node


def _statuses(nodes: list[Json]) -> Iterator[int]:
    for node in nodes:
        for name in _STATUS:
            value = node.get(name)
            if isinstance(value, str) and value.isdecimal() and len(value) == 3:
                value = int(value)
            if isinstance(value, int) and 400 <= value <= 599:
                yield value


def _words(node: object, depth: int = 0) -> str:
    if depth > _DEPTH:
        return ""
    match node:
        case str():
            return node.strip()
        case list():
            items = cast(list[object], node)[:_ITEMS]
            return "; ".join(filter(None, (_words(item, depth + 1) for item in items)))
        case dict():
            return _words_of_object(cast(Json, node), depth)
        case _:
            return ""


def _words_of_object(node: Json, depth: int) -> str:
    words = next(filter(None, (_words(node.get(name), depth + 1) for name in _WORDS)), "")
    if isinstance(place := node.get("loc"), list):  # pydantic's: the field, then the error
        words = f"{'.'.join(map(str, cast(list[object], place)))}: {words}"
    metadata = node.get("metadata")
    raw = cast(Json, metadata).get("raw") if isinstance(metadata, dict) else None
    return f"{words}: {raw}" if isinstance(raw, str) and raw else words  # OpenRouter's upstream


def _is_name(value: object) -> bool:
    return bool(value) and isinstance(value, str | int) and not isinstance(value, bool)


def _has_content(value: object) -> bool:
    if isinstance(value, dict):
        return any(cast(Json, value).values())
    return bool(value)
