"""Files that are downloaded: one appears under its name only when it is complete and checked."""

import hashlib
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from teamrun.client.errors import APIConnectionError

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
        if self._is_reserved:
            target.open("xb").close()  # the name is taken from now on
        try:
            self._file = self._path.open("xb")
        except OSError:
            self._release()
            raise

    def restart(self) -> None:
        """Forget the bytes of an attempt that failed."""
        self._file.seek(0)
        self._file.truncate()
        self._digest = hashlib.sha256()

    def write(self, piece: bytes) -> None:
        """Add bytes."""
        self._file.write(piece)
        self._digest.update(piece)

    def check(self, headers: Mapping[str, str]) -> None:
        """Compare the bytes with the digest that the server gives as the `ETag`.

        Raises:
            APIConnectionError: They differ, so that another attempt may succeed.
        """
        expected = _SHA256.fullmatch(headers.get("etag", ""))
        if expected is not None and expected[1] != self._digest.hexdigest():
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

    def _release(self) -> None:
        if self._is_reserved:
            self._target.unlink(missing_ok=True)
