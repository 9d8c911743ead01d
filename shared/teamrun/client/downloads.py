"""Files that are downloaded: one appears under its name only when it is complete and checked."""

import hashlib
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from teamrun.client.errors import APIConnectionError
from teamrun.client.exchange import is_complete

__all__ = ["Draft"]

_SHA256 = re.compile(r'"([0-9a-f]{64})"')


class Draft:
    """The file while its bytes arrive, next to the place where it belongs.

    Args:
        target: Where it belongs.
        replace: Whether an existing file may be replaced.

    Raises:
        FileExistsError: There is a file, and it may not be replaced.
        OSError: The file cannot be written.
    """

    def __init__(self, target: Path, *, replace: bool) -> None:
        self._target = target
        self._path = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
        self._is_reserved = not replace
        self._digest = hashlib.sha256()
        self._size = 0
        self._tag: str | None = None
        if self._is_reserved:
            target.open("xb").close()  # the name is taken from now on
        try:
            self._file = self._path.open("xb")
        except OSError:
            self._release()
            raise

    @property
    def rest(self) -> dict[str, str]:
        """The headers that ask for the bytes that an attempt before has not received."""
        if self._size == 0 or self._tag is None:
            return {}
        return {"Range": f"bytes={self._size}-", "If-Range": self._tag}

    def begin(self, status: int, headers: Mapping[str, str]) -> bool:
        """Begin an attempt; returns whether the body of the answer belongs to the file.

        The file continues if the server sends the rest (206), and is complete if there is none
        (416): the connection broke after the last byte. Otherwise it starts anew.

        Raises:
            APIConnectionError: What has arrived is not the whole file, and the server has no rest.
        """
        if is_complete(status, headers, self._size):
            return False
        tag = headers.get("etag")
        if status != 206 or tag != self._tag:
            self._restart()
        self._tag = tag
        if status == 416:
            raise APIConnectionError(f"{self._target.name} became shorter during the download.")
        return True

    def write(self, piece: bytes) -> None:
        """Add bytes."""
        self._file.write(piece)
        self._digest.update(piece)
        self._size += len(piece)

    def check(self) -> None:
        """Compare the bytes with the digest, if the `ETag` of the answer is one.

        Raises:
            APIConnectionError: They differ, so that another attempt may succeed.
        """
        expected = _SHA256.fullmatch(self._tag or "")
        if expected is not None and expected[1] != self._digest.hexdigest():
            self._restart()
            raise APIConnectionError(f"{self._target.name} was damaged while it was downloaded.")

    def finish(self) -> None:
        """Give the file its name."""
        self._file.close()
        self._path.replace(self._target)
        self._is_reserved = False

    def __enter__(self) -> Self:
        """The draft itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Remove what is left of a download that failed."""
        self._file.close()
        self._path.unlink(missing_ok=True)
        self._release()

    def _restart(self) -> None:
        self._file.seek(0)
        self._file.truncate()
        self._size = 0
        self._digest = hashlib.sha256()

    def _release(self) -> None:
        if self._is_reserved:
            self._target.unlink(missing_ok=True)
