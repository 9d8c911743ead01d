"""Files of a folder that others write, read as they are at one moment."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from teamrun.errors import InvalidKey, NotFound, ObjectChanged
from teamrun.storage.base import CHUNK_BYTES
from teamrun.storage.pinned import FolderReader

Change = Callable[[Path], None]
LONG = b"0123456789abcdef" * (CHUNK_BYTES // 8)


async def content(folder: Path, key: str) -> bytes:
    reader = FolderReader(folder)
    return b"".join([chunk async for chunk in reader.pinned(await reader.pin(key))])


@pytest.mark.parametrize("name", ["Jan.jsonl", "a b/ü→雨.csv", "%2e%2e/x", "a/.hidden"])
@pytest.mark.parametrize("data", [b"", b"x", LONG], ids=["empty", "short", "long"])
async def test_a_file_has_the_name_that_its_user_gave(
    name: str, data: bytes, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)

    assert await content(tmp_path, name) == data
    assert (await FolderReader(tmp_path).pin(name)).size == len(data)


@pytest.mark.parametrize("key", ["../x", "a/../../x", "/etc/passwd", "", ".", "a//b", "a/"])
async def test_a_key_never_leaves_the_folder(key: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidKey):
        await FolderReader(tmp_path).pin(key)


async def test_a_link_inside_the_folder_is_followed(tmp_path: Path) -> None:
    (tmp_path / "2026").mkdir()
    (tmp_path / "2026" / "jan").write_bytes(b"x")
    (tmp_path / "newest").symlink_to("2026/jan")
    (tmp_path / "years").symlink_to("2026")
    link = tmp_path.with_name(f"{tmp_path.name}-link")
    link.symlink_to(tmp_path)

    assert await content(tmp_path, "newest") == b"x"
    assert await content(tmp_path, "years/jan") == b"x"
    assert await content(link, "newest") == b"x"  # the operator's own folder may be a link


@pytest.mark.parametrize("target", ["../secret", "/dev/zero", "..", "sub", "absent", "loop"])
async def test_what_is_no_file_of_the_folder_is_not_found(target: str, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "sub").mkdir(parents=True)
    (tmp_path / "secret").write_bytes(b"secret")
    (folder / "loop").symlink_to(target)

    with pytest.raises(NotFound):
        await FolderReader(folder).pin("loop")


async def test_a_way_through_a_link_that_leads_out_is_not_found(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "secret").write_bytes(b"secret")
    (folder / "up").symlink_to("..")

    with pytest.raises(NotFound):
        await FolderReader(folder).pin("up/secret")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
async def test_a_pipe_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(NotFound):
        await FolderReader(tmp_path).pin("pipe")


@pytest.mark.parametrize("key", ["absent", "file/below", "absent/below", "x" * 300])
async def test_a_file_that_is_not_there_is_not_found(key: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")

    with pytest.raises(NotFound):
        await FolderReader(tmp_path).pin(key)
    with pytest.raises(NotFound):
        await FolderReader(tmp_path / "gone").pin(key)


def replace(path: Path) -> None:
    new = path.with_name("new")
    new.write_bytes(LONG)
    new.replace(path)


def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"x")


def truncate(path: Path) -> None:
    os.truncate(path, CHUNK_BYTES)


def rewrite(path: Path) -> None:
    path.write_bytes(LONG)
    os.utime(path, ns=(1, 1))  # whatever the clock of the file system can tell apart


CHANGES = [append, truncate, rewrite]


@pytest.mark.parametrize("change", [*CHANGES, replace])
async def test_a_file_that_changed_after_it_was_found_is_not_read(
    change: Change, tmp_path: Path
) -> None:
    path = tmp_path / "x"
    path.write_bytes(LONG)
    reader = FolderReader(tmp_path)
    found = await reader.pin("x")
    change(path)

    with pytest.raises(ObjectChanged):
        await anext(reader.pinned(found))


@pytest.mark.parametrize("change", CHANGES)
async def test_a_file_that_changes_while_it_is_read_is_not_read_to_its_end(
    change: Change, tmp_path: Path
) -> None:
    path = tmp_path / "x"
    path.write_bytes(LONG)
    reader = FolderReader(tmp_path)
    chunks = reader.pinned(await reader.pin("x"))
    read = [await anext(chunks)]
    change(path)

    with pytest.raises(ObjectChanged):
        read += [chunk async for chunk in chunks]
    assert sum(map(len, read)) < len(LONG)


async def test_a_file_that_is_replaced_while_it_is_read_is_read_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(LONG)
    reader = FolderReader(tmp_path)
    chunks = reader.pinned(await reader.pin("x"))
    read = [await anext(chunks)]
    (tmp_path / "new").write_bytes(b"other")
    (tmp_path / "new").replace(path)

    read += [chunk async for chunk in chunks]
    assert b"".join(read) == LONG
