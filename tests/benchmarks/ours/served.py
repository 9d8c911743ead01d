"""`python -m tests.benchmarks.ours.served api|worker FILE`: a process that counts its store calls.

The counts are in a file that the measuring process reads at any time.
"""

import mmap
import struct
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from tests.benchmarks.ours.stores import RecordingStore

from teamrun.runtime import Backends, open_backends
from teamrun.settings import CommonSettings
from teamrun.storage.base import ObjectStore

__all__ = ["CALLS", "store_calls"]

CALLS = ("get_many", "get", "put_new", "put", "list", "delete")
_FORM = struct.Struct(f"{len(CALLS)}Q")


def store_calls(path: Path) -> dict[str, int]:
    """The number of calls of each kind so far."""
    data = path.read_bytes() if path.exists() else bytes(_FORM.size)
    return dict(zip(CALLS, _FORM.unpack(data), strict=True))


class CountedStore(RecordingStore):
    """Counts its calls in a file, and keeps none."""

    def __init__(self, store: ObjectStore, path: Path) -> None:
        super().__init__(store)
        path.write_bytes(bytes(_FORM.size))
        with path.open("r+b") as file:
            self._counts = memoryview(mmap.mmap(file.fileno(), _FORM.size)).cast("Q")

    async def _recorded(
        self, call: Callable[..., Awaitable[Any]], *args: Any, **options: Any
    ) -> Any:
        self._counts[CALLS.index(call.__name__)] += 1
        return await call(*args, **options)


def main(kind: str, path: Path) -> int:
    def opened(settings: CommonSettings) -> Backends:
        backends = open_backends(settings)
        return backends._replace(store=CountedStore(backends.store, path))

    if kind == "api":
        from teamrun_api.process import main as serve

        return serve([], backends=opened)
    from teamrun_worker.process import main as work

    return work(backends=opened)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
