"""Makes a store from a URL, as settings name it."""

from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from teamrun.core.optional import require
from teamrun.errors import UsageError
from teamrun.storage.base import ObjectStore
from teamrun.storage.file import FileStore
from teamrun.storage.memory import MemoryStore

__all__ = ["open_store"]


def open_store(url: str, *, fsync: bool = False) -> ObjectStore:
    """A store for one of these URLs.

        memory://
        file:///absolute/path                                    or just the path
        s3://bucket/prefix?endpoint=http://host:9000&region=eu-central-1
        az://container/prefix?account=name&endpoint=...

    Args:
        url: Which store; credentials of S3 and Azure are in the environment, never in here.
        fsync: For `file://`: survive the loss of power, too.

    Raises:
        UsageError: The URL is none of these.
        MissingPackage: `obstore` is not installed, for S3 and Azure.
        StorageError: The folder cannot be used.
    """
    if "://" not in url and url:
        return FileStore(Path(url), fsync=fsync)
    parts = urlsplit(url)
    match parts.scheme:
        case "memory":
            return MemoryStore()
        case "file" if parts.netloc in {"", "localhost"} and len(parts.path) > 1:
            return FileStore(Path(unquote(parts.path)), fsync=fsync)
        case "s3" if parts.netloc:
            return _open_s3(parts)
        case "az" | "azure" if parts.netloc:
            return _open_azure(parts)
        case _:
            raise UsageError(
                f"{_without_secrets(url)!r} names no store: write memory://, file:///path, "
                "s3://bucket/prefix or az://container/prefix",
                setting="store",
            )


def _open_s3(parts: SplitResult) -> ObjectStore:
    require("obstore", extra="s3", needed_by="A store in a bucket", lowest=(0, 8))
    from teamrun.storage.bucket import open_s3

    return open_s3(parts.netloc, prefix=_prefix(parts), **_options(parts, {"endpoint", "region"}))


def _open_azure(parts: SplitResult) -> ObjectStore:
    require("obstore", extra="s3", needed_by="A store in a container", lowest=(0, 8))
    from teamrun.storage.bucket import open_azure

    options = _options(parts, {"account", "endpoint"})
    return open_azure(parts.netloc, prefix=_prefix(parts), **options)


def _prefix(parts: SplitResult) -> str:
    return unquote(parts.path).strip("/")


def _options(parts: SplitResult, known: set[str]) -> dict[str, str]:
    options = dict(parse_qsl(parts.query))
    for name in options:
        if name not in known:
            raise UsageError(
                f"a {parts.scheme}:// store has no option {name!r}: {', '.join(sorted(known))}; "
                "credentials belong in the environment",
                setting="store",
            )
    return options


def _without_secrets(url: str) -> str:
    return url.partition("?")[0].rpartition("@")[2]
