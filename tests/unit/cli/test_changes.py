"""`teamrun serve` reports changes of the files that it has read."""

from pathlib import Path

import pytest

from teamrun.cli.serving.changes import hint_at_changes


class Stop(Exception):
    pass


async def hints(config: Path, *changes: tuple[str, str | None]) -> list[str]:
    """The messages after each change of a file; None removes it."""
    told: list[str] = []
    left = list(changes)

    async def pause(_: float) -> None:
        if not left:
            raise Stop
        name, text = left.pop(0)
        path = config.parent / name
        if text is None:
            path.unlink()
        else:
            path.write_text(text, encoding="utf-8")

    with pytest.raises(Stop):
        await hint_at_changes(config, show=told.append, pause=pause)
    return told


async def test_each_change_of_the_file_or_of_code_next_to_it_is_reported_once(
    tmp_path: Path,
) -> None:
    config = tmp_path / "teamrun.yaml"
    config.write_text("version: 1", encoding="utf-8")
    changes = [
        ("notes.txt", "x"),
        ("teamrun.yaml", "version: 1\nteams: {}"),
        ("my_tools.py", "x = 1"),
        ("other.txt", "x"),
        ("my_tools.py", None),
    ]

    told = await hints(config, *changes)

    assert [each.partition(" ")[0] for each in told] == [
        "teamrun.yaml",
        "my_tools.py",
        "my_tools.py",
    ]


async def test_a_file_that_does_not_exist_stops_nothing(tmp_path: Path) -> None:
    assert await hints(tmp_path / "none.yaml", ("notes.txt", "x")) == []
