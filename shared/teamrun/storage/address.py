"""The parser of store URLs; `open.py` makes a store from the result."""

import hashlib
import os
import re
from collections.abc import Set
from pathlib import Path
from typing import Literal, NamedTuple, NoReturn
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from teamrun.errors import StorageError, UsageError
from teamrun.storage.keys import check_prefix

__all__ = [
    "StoreAddress",
    "check_endpoint",
    "check_shareable",
    "key_prefix",
    "read_store_url",
    "store_namespace",
]

_FORMS = "memory://, file:///path, s3://bucket/prefix or az://container/prefix"
_KINDS: dict[str, Literal["memory", "file", "s3", "az"]] = {
    "memory": "memory",
    "file": "file",
    "s3": "s3",
    "az": "az",
    "azure": "az",
}
_OPTIONS: dict[str, frozenset[str]] = {
    "s3": frozenset({"endpoint", "region"}),
    "az": frozenset({"account", "endpoint"}),
}
_IN_THE_ENVIRONMENT = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
    "az": "AZURE_STORAGE_ACCOUNT_KEY",
}
_NAMESPACE_LENGTH = 12
_CONTROL = r"[\x00-\x1f\x7f]"
_SCHEME = r"[A-Za-z][A-Za-z0-9+.-]+:"
"""Two characters at least: one is a drive of Windows."""


class StoreAddress(NamedTuple):
    """The address of a store, without credentials."""

    kind: Literal["memory", "file", "s3", "az"]
    folder: Path | None = None
    """For `file`: absolute."""
    bucket: str = ""
    prefix: str = ""
    options: tuple[tuple[str, str], ...] = ()
    """Sorted by name."""


def read_store_url(url: str) -> StoreAddress:
    """Read the URL, or the path, of a store. `~` is the home folder.

    Raises:
        UsageError: The URL is invalid. The message never contains a part that could be secret.
    """
    if re.search(_CONTROL, unquote(url, errors="replace")):
        _refuse("it contains a control character")
    if "://" not in url and url:
        if scheme := re.match(_SCHEME, url):
            _refuse(
                f"after {scheme[0]!r} two slashes are missing: write {_FORMS}. For a folder of "
                "that name, begin with ./"
            )
        return _folder(url)
    try:
        parts = urlsplit(url)
    except ValueError:
        _refuse(f"it is malformed: write {_FORMS}")
    if parts.scheme not in _KINDS:
        _refuse(f"the scheme {parts.scheme!r} is unknown: write {_FORMS}")
    kind = _KINDS[parts.scheme]
    if kind == "memory":
        return StoreAddress(kind="memory")
    return _file(url, parts) if kind == "file" else _bucket(kind, url, parts)


def check_shareable(url: str) -> None:
    """Check that several processes can use the store.

    Raises:
        UsageError: It is the memory of one process, or the URL is invalid.
    """
    if read_store_url(url).kind == "memory":
        raise UsageError(
            "The store memory:// (TEAMRUN_STORE_URL) belongs to one process: with a queue, no "
            "other process could find its runs. Use file:///path, s3://bucket/prefix or "
            "az://container/prefix. To run the API alone, unset TEAMRUN_REDIS_URL and "
            "TEAMRUN_QUEUE_URL.",
            setting="store_url",
        )


def check_endpoint(endpoint: str, *, source: str) -> None:
    """Check that an endpoint is the URL of an HTTP server.

    Args:
        endpoint: The URL. No message repeats it: it may contain credentials.
        source: Its name for the message.

    Raises:
        UsageError: It is none, or contains credentials, a query or a fragment.
    """
    try:
        parts = urlsplit(endpoint)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = parts = None
    if parts is None or parts.scheme not in {"http", "https"} or not host or port == 0:
        _refuse(f"{source} is not the URL of a server: write http://host:9000 or https://host")
    if "@" in endpoint:
        _refuse(f"{source} contains credentials: set them in the environment instead")
    if parts.query or parts.fragment or not re.fullmatch(r"[!-~]+", endpoint):
        _refuse(f"{source} has a query, a fragment or a character that is not ASCII: remove it")


def store_namespace(url: str) -> str:
    """A short name that differs between stores and is equal for every spelling of one store URL.

    Raises:
        UsageError: As for `read_store_url`.
    """
    address = read_store_url(url)
    options = sorted(
        (name, value.rstrip("/")) for name, value in address.options if name != "region"
    )
    folder = "" if address.folder is None else os.path.realpath(address.folder)
    identity = repr((address.kind, folder, address.bucket, address.prefix, options))
    return hashlib.sha256(identity.encode("utf-8", "surrogateescape")).hexdigest()[
        :_NAMESPACE_LENGTH
    ]


def key_prefix(namespace: str) -> str:
    """The prefix of every key, queue and channel of one deployment."""
    return f"teamrun:{namespace}:"


def _folder(path: str) -> StoreAddress:
    try:
        folder = Path(path).expanduser()
    except RuntimeError:
        _refuse("the home folder (~) is unknown: write an absolute path")
    return StoreAddress(kind="file", folder=folder.absolute())


def _file(url: str, parts: SplitResult) -> StoreAddress:
    if "#" in url or "?" in url:
        _refuse("in a file:// URL, write # as %23 and ? as %3F; a plain path needs no encoding")
    if parts.netloc == "~":
        return _folder(f"~{unquote(parts.path)}")
    if parts.netloc not in {"", "localhost"} or len(parts.path) < 2:
        _refuse("file:// needs an absolute path: write file:///path, or just the path")
    return _folder(unquote(parts.path))


def _bucket(kind: Literal["s3", "az"], url: str, parts: SplitResult) -> StoreAddress:
    if "@" in parts.netloc or "@" in parts.path:
        _refuse(
            f"it contains credentials (or an @, which must be written as %40). Remove them "
            f"from the URL and set {_IN_THE_ENVIRONMENT[kind]} instead"
        )
    if "#" in url:
        _refuse("write # as %23")
    if not re.fullmatch(r"[A-Za-z0-9$][A-Za-z0-9._-]*", parts.netloc):
        _refuse(f"the bucket's name is missing or invalid: write {kind}://bucket/prefix")
    prefix = unquote(parts.path).strip("/")
    try:
        check_prefix(f"{prefix}/" if prefix else "")
    except StorageError:
        _refuse("its prefix must be names joined by /, none of them empty, . or ..")
    return StoreAddress(
        kind=kind,
        bucket=parts.netloc,
        prefix=prefix,
        options=tuple(sorted(_options(parts, _OPTIONS[kind]).items())),
    )


def _options(parts: SplitResult, known: Set[str]) -> dict[str, str]:
    options: dict[str, str] = {}
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name not in known:
            shown = repr(name) if re.fullmatch("[A-Za-z_]{1,40}", name) else "of that name"
            _refuse(
                f"a {parts.scheme}:// store has no option {shown}; known options: "
                f"{', '.join(sorted(known))}. Credentials belong in the environment; in a prefix, "
                "write ? as %3F"
            )
        if name in options:
            _refuse(f"the option {name!r} occurs twice")
        options[name] = value
    if (endpoint := options.get("endpoint")) is not None:
        check_endpoint(endpoint, source="the endpoint")
    for name in ("account", "region"):
        if not re.fullmatch("[A-Za-z0-9_-]{1,64}", options.get(name, "x")):
            _refuse(f"the option {name!r} must be 1 to 64 letters, digits, - or _")
    return options


def _refuse(reason: str) -> NoReturn:
    # `from None`: the error of the standard library repeats parts of the URL.
    raise UsageError(
        f"The store URL (TEAMRUN_STORE_URL) is invalid: {reason}.", setting="store"
    ) from None
