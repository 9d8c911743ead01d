"""Notices that the files of a running service have changed."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from teamrun.cli.screen import talk

__all__ = ["hint_at_changes"]

_LOOK_S: Final = 2.0
"""Seconds between looks; each is one `stat` for each file of the folder."""


async def hint_at_changes(
    config: Path,
    *,
    show: Callable[[str], None] = talk,
    pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> None:
    """Say once for each change that the running processes do not use it; never returns.

    Args:
        config: The definition file; Python files beside it are watched as well.
        show: Shows the hint.
        pause: Awaited between two checks.
    """
    seen = _times(config)
    while True:
        await pause(_LOOK_S)
        now = _times(config)
        changed = sorted(path.name for path in {*seen, *now} if seen.get(path) != now.get(path))
        if changed:
            show(f"{', '.join(changed)} changed. Start `teamrun serve` again to use the change.")
        seen = now


def _times(config: Path) -> dict[Path, tuple[int, int]]:
    found: dict[Path, tuple[int, int]] = {}
    for path in [config, *config.parent.glob("*.py")]:
        try:
            status = path.stat()
        except OSError:
            continue
        found[path] = (status.st_mtime_ns, status.st_size)
    return found
