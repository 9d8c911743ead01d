"""`teamrun serve` reports changes of the files that it has read."""

from pathlib import Path

import pytest

from teamrun.cli.serving.changes import hint_at_changes
from teamrun.cli.serving.imports import check_imports


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
        imported = [config.with_name("my_tools.py")]
        await hint_at_changes(config, imported, show=told.append, pause=pause)
    return told


async def test_each_change_of_the_file_or_of_code_that_it_needs_is_reported_once(
    tmp_path: Path,
) -> None:
    config = tmp_path / "teamrun.yaml"
    config.write_text("version: 1", encoding="utf-8")
    changes = [
        ("notes.txt", "x"),
        ("client.py", "x = 1"),
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


def test_the_files_that_tools_import_are_found(tmp_path: Path) -> None:
    config = tmp_path / "teamrun.yaml"
    config.write_text(
        "version: 1\ntools: {size: {type: function, function: 'my_sizes:size'}}\n", encoding="utf-8"
    )
    texts = {
        "my_sizes.py": "from my_units import UNIT\ndef size() -> str:\n  'Size.'\n  return UNIT",
        "my_units.py": "UNIT = 'm'\nprint('printed')\n",
        "client.py": "",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text, encoding="utf-8")

    assert [path.name for path in check_imports(config)] == ["my_sizes.py", "my_units.py"]
