"""Notices that the files of a running service have changed."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Final

from teamrun.cli.screen import talk

__all__ = ["hint_at_changes"]

_LOOK_S: Final = 2.0
"""Seconds between looks; each is one `stat` for each file."""


async def hint_at_changes(
    config: Path,
    imported: Iterable[Path] = (),
    *,
    show: Callable[[str], None] = talk,
    pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> None:
    """Say once for each change that the running processes do not use it; never returns.

    Args:
        config: The definition file.
        imported: The Python files that it needs.
        show: Shows the hint.
        pause: Awaited between two checks.
    """
    files = [config, *imported]
    seen = _times(files)
    while True:
        await pause(_LOOK_S)
        now = _times(files)
        changed = sorted(path.name for path in {*seen, *now} if seen.get(path) != now.get(path))
        if changed:
            show(f"{', '.join(changed)} changed. Start `teamrun serve` again to use the change.")
        seen = now


def _times(files: Iterable[Path]) -> dict[Path, tuple[int, int]]:
    found: dict[Path, tuple[int, int]] = {}
    for path in files:
        try:
            status = path.stat()
        except OSError:
            continue
        found[path] = (status.st_mtime_ns, status.st_size)
    return found
