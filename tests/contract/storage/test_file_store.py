"""A store in a folder with other processes, killed ones, full disks and unusual folders."""

import asyncio
import errno
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teamrun.errors import NotFound, StorageError, Unavailable, UnusableStore
from teamrun.storage.file import FileStore
from teamrun.storage.file_names import key_to_path, name_to_segment

SEGMENTS = st.text(
    st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="/"), min_size=1, max_size=20
).filter(lambda segment: segment not in {".", ".."})


@pytest.fixture(params=[False, True], ids=["plain", "fsync"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[FileStore]:
    opened = FileStore(tmp_path / "store", fsync=request.param)
    yield opened
    await opened.close()


def _python(program: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program), *arguments],
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


@given(SEGMENTS)
def test_every_segment_has_a_safe_name_of_its_own(segment: str) -> None:
    name = key_to_path(segment)
    assert name_to_segment(name) == segment
    assert name.isascii()
    assert name == name.casefold()
    assert "/" not in name
    assert not name.startswith(".")


async def test_of_eight_racing_threads_exactly_one_creates_each_key(tmp_path: Path) -> None:
    wins: list[list[int]] = [[] for _ in range(200)]
    together = threading.Barrier(8)

    async def write(store: FileStore, writer: int) -> None:
        for n, won in enumerate(wins):
            if await store.put_new(f"race/{n}", b"%d" % writer * 50):
                won.append(writer)

    def race(writer: int) -> None:
        store = FileStore(tmp_path)
        together.wait(timeout=30)
        asyncio.run(write(store, writer))

    threads = [threading.Thread(target=race, args=(writer,)) for writer in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert all(len(won) == 1 for won in wins)
    stored = await FileStore(tmp_path).get_many([f"race/{n}" for n in range(200)])
    assert stored == [b"%d" % won[0] * 50 for won in wins]


def test_many_processes_may_open_a_folder_at_once(tmp_path: Path) -> None:
    opened: list[FileStore] = []

    def open_often() -> None:
        opened.extend(FileStore(tmp_path) for _ in range(100))

    threads = [threading.Thread(target=open_often) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert len(opened) == 600


async def test_folders_that_vanish_under_a_writer_are_made_again(tmp_path: Path) -> None:
    stop = threading.Event()

    async def churn(store: FileStore) -> None:
        while not stop.is_set():
            await store.put_new("due/2026/a", b"")
            await store.delete("due/2026/a")

    thread = threading.Thread(target=lambda: asyncio.run(churn(FileStore(tmp_path))))
    thread.start()
    try:
        store = FileStore(tmp_path)
        for n in range(500):
            assert await store.put_new(f"due/2026/b{n}", b"some body") is True
            await store.delete(f"due/2026/b{n}")
    finally:
        stop.set()
        thread.join(timeout=30)


async def test_a_new_folder_in_a_known_one_is_not_resolved_again(
    store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.put_new("t/default/runs/00/run_0/log/0", b"x")
    resolved: list[str] = []
    real = os.path.realpath

    def counted(path: str) -> str:
        resolved.append(path)
        return real(path)

    monkeypatch.setattr("os.path.realpath", counted)
    for n in range(1, 20):
        assert await store.put_new(f"t/default/runs/00/run_{n}/log/0", b"x") is True
    assert resolved == []


async def test_a_tree_of_folders_that_vanishes_is_made_again(store: FileStore) -> None:
    for _ in range(3):
        assert await store.put_new("a/b/c/d/e", b"x") is True
        shutil.rmtree(store.root / "a")


async def test_an_empty_folder_goes_with_its_last_object(store: FileStore) -> None:
    await store.put_new("due/2026112100/07/default.run", b"")
    await store.delete("due/2026112100/07/default.run")
    assert [path.name for path in store.root.iterdir()] == [".tmp"]


async def test_nothing_torn_is_seen_after_writers_are_killed(tmp_path: Path) -> None:
    program = """
        import asyncio, itertools, sys
        from teamrun.storage.file import FileStore

        async def main():
            store = FileStore(sys.argv[1])
            print("ready", flush=True)
            for n in itertools.count():
                await store.put_new(f"log/{sys.argv[2]}-{n:06d}", b"x" * 3_000_000 + b"end")

        asyncio.run(main())
    """
    for attempt in range(5):
        writer = _python(program, str(tmp_path), str(attempt))
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        while not (tmp_path / "log").is_dir() or len([*(tmp_path / "log").iterdir()]) < attempt:
            assert writer.poll() is None
        writer.send_signal(signal.SIGKILL)
        writer.wait(timeout=30)
        writer.stdout.close()
    store = FileStore(tmp_path)
    for key in await store.list("log/", limit=100_000):
        assert await store.get(key) == b"x" * 3_000_000 + b"end"


async def test_leftovers_of_killed_writers_are_not_listed_and_go_after_an_hour(
    tmp_path: Path,
) -> None:
    FileStore(tmp_path)
    old, new = tmp_path / ".tmp" / "123-abc-0", tmp_path / ".tmp" / "123-abc-1"
    for leftover in (old, new):
        leftover.write_bytes(b"half of a bo")
    os.utime(old, (time.time() - 7200, time.time() - 7200))
    store = FileStore(tmp_path)
    assert await store.list("") == []
    assert not old.exists()
    assert new.exists()


async def test_a_put_leaves_nothing_in_the_folder_of_drafts(store: FileStore) -> None:
    await store.put_new("a", b"1")
    await store.put_new("a", b"2")
    await store.put("b", b"3")
    await store.put_new("large", b"x" * 1_000_000)
    assert [*(store.root / ".tmp").iterdir()] == []


def test_a_file_system_without_links_is_refused(tmp_path: Path) -> None:
    def no_link(source: str, target: str) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    with pytest.raises(UnusableStore) as caught:
        FileStore(tmp_path, link=no_link)
    assert caught.value.code == "unusable_store"


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with pytest.raises(StorageError) as caught:
        FileStore(tmp_path / "file" / "store")
    assert (caught.value.code, caught.value.data["errno"]) == ("storage", errno.ENOTDIR)


@pytest.mark.skipif(sys.platform == "win32", reason="needs RLIMIT_FSIZE")
@pytest.mark.parametrize("fsync", ["", "fsync"])
def test_a_disk_that_fills_in_the_middle_of_a_write_leaves_nothing_torn(
    tmp_path: Path, fsync: str
) -> None:
    program = """
        import asyncio, os, resource, sys
        from teamrun.errors import NotFound, Unavailable
        from teamrun.storage.file import FileStore

        async def main():
            store = FileStore(sys.argv[1], fsync=bool(sys.argv[2]))
            await store.put_new("before", b"x" * 100)
            await store.put("result", b"old")
            _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
            for call in (store.put_new("log/1", b"x" * 20_000), store.put("result", b"x" * 20_000)):
                try:
                    await call
                except Unavailable as error:
                    print(error.code, flush=True)
            assert await store.list("") == ["before", "result"]
            assert await store.get("result") == b"old"
            assert os.listdir(store.root / ".tmp") == []
            assert await store.put_new("log/1", b"small")
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
            assert await store.put_new("log/2", b"x" * 20_000)
            await store.close()

        asyncio.run(main())
    """
    process = _python(program, str(tmp_path), fsync)
    output, _ = process.communicate(timeout=50)
    assert (process.returncode, output) == (0, "unavailable\nunavailable\n")


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs Linux namespaces")
def test_a_full_file_system_is_unavailable_and_recovers(tmp_path: Path) -> None:
    program = """
        import asyncio, errno, subprocess, sys
        from teamrun.errors import Unavailable
        from teamrun.storage.file import FileStore

        async def main():
            store = FileStore(sys.argv[1])
            written = 0
            try:
                while True:
                    await store.put_new(f"log/{written}", bytes([written]) * 20_000)
                    written += 1
            except Unavailable as error:
                assert error.data["errno"] == errno.ENOSPC
            assert written > 3
            assert len(await store.list("log/")) == written
            for n in range(written):
                assert await store.get(f"log/{n}") == bytes([n]) * 20_000
            await store.delete("log/0")
            assert await store.put_new(f"log/{written}", b"y" * 20_000) is True

        mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", sys.argv[1]]
        if subprocess.run(mount, capture_output=True).returncode != 0:
            sys.exit(77)
        asyncio.run(main())
    """
    # The mount is seen in this namespace only, and ends with it.
    namespace = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "-r"]
    done = subprocess.run(
        [*namespace, sys.executable, "-c", textwrap.dedent(program), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        timeout=50,
        capture_output=True,
        check=False,
    )
    if done.returncode == 77 or b"unshare" in done.stderr:
        pytest.skip("this machine does not let a test mount a file system")
    assert (done.returncode, done.stderr) == (0, b"")


async def test_a_store_whose_folder_is_gone_is_unavailable_and_is_not_made_anew(
    tmp_path: Path,
) -> None:
    store = FileStore(tmp_path / "mounted")
    await store.put_new("a/b", b"x")
    (tmp_path / "mounted").rename(tmp_path / "unmounted")
    for call in (
        store.get("a/b"),
        store.put_new("a/c", b"x"),
        store.put_new("a/d", b""),
        store.put("a/b", b"x"),
        store.check(),
    ):
        with pytest.raises(Unavailable):
            await call
    assert not (tmp_path / "mounted").exists()
    (tmp_path / "unmounted").rename(tmp_path / "mounted")
    assert await store.get("a/b") == b"x"


async def test_symbolic_links_lead_nowhere(store: FileStore, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    (store.root / "folder").symlink_to(outside)
    (store.root / "file").symlink_to(outside / "secret")
    for call in (
        store.get("file"),
        store.get("folder/secret"),
        store.put_new("folder/new", b"x"),
        store.put_new("folder/empty", b""),
        store.put("folder/secret", b"x"),
    ):
        with pytest.raises(StorageError) as caught:
            await call
        assert caught.value.code == "storage"
    assert await store.list("") == []
    assert await store.list("folder/") == []
    assert [path.name for path in outside.iterdir()] == ["secret"]
    assert (outside / "secret").read_bytes() == b"secret"


@pytest.mark.parametrize("key", ["a/b/c/d", "a/b/e/f", "a/b/c/g/h", "a/i"])
async def test_folders_that_another_process_removed_are_created_again(
    key: str, store: FileStore
) -> None:
    await store.put_new("a/b/c/d", b"x")
    shutil.rmtree(store.root / "a")
    assert await store.put_new(key, b"y") is True
    assert await store.get(key) == b"y"


async def test_a_store_may_itself_be_reached_through_a_symbolic_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "name").symlink_to(tmp_path / "real")
    store = FileStore(tmp_path / "name")
    assert await store.put_new("a/b", b"x") is True
    assert (tmp_path / "real" / "a" / "b").read_bytes() == b"x"


async def test_a_key_is_no_folder_of_other_keys(store: FileStore) -> None:
    await store.put_new("a/b", b"x")
    for call in (store.put_new("a", b"x"), store.put("a", b"x"), store.put_new("a/b/c", b"x")):
        with pytest.raises(StorageError) as caught:
            await call
        assert caught.value.code == "storage"
    with pytest.raises(NotFound):
        await store.get("a")


async def test_files_of_others_are_not_listed(store: FileStore) -> None:
    for name in (".DS_Store", "Thumbs.db", "50%", "%zz", "%ff", "%41%2"):
        (store.root / name).write_bytes(b"x")
    assert await store.list("") == []


async def test_files_are_not_readable_for_everybody(store: FileStore) -> None:
    await store.put_new("t/default/log", b"a prompt")
    for path in (store.root / "t", store.root / "t" / "default", store.root / "t/default/log"):
        assert path.stat().st_mode & 0o007 == 0


async def test_a_large_folder_is_listed_right_while_it_changes(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    keys = [f"list/{n:05d}" for n in range(1500)]
    for key in keys:
        await store.put_new(key, b"")
    old = time.time() - 3600
    os.utime(tmp_path / "list", (old, old))  # not touched for an hour
    assert await store.list("list/", limit=9999) == keys
    assert await store.list("list/", after=keys[700], limit=2) == keys[701:703]
    await store.put_new("list/00000a", b"")
    assert await store.list("list/", limit=2) == ["list/00000", "list/00000a"]
    await store.delete("list/00000")
    await store.put_new("list/00000b", b"")
    assert await store.list("list/", limit=2) == ["list/00000a", "list/00000b"]


async def test_a_list_is_not_kept_while_the_clock_of_the_folder_may_stand_still(
    tmp_path: Path,
) -> None:
    store = FileStore(tmp_path)
    for n in range(600):
        await store.put_new(f"list/{n:05d}", b"")
    stamp = (tmp_path / "list").stat().st_mtime_ns
    await store.list("list/")
    await store.put_new("list/00000a", b"")
    os.utime(tmp_path / "list", ns=(stamp, stamp))  # within one tick of a coarse clock
    assert await store.list("list/", limit=2) == ["list/00000", "list/00000a"]


async def test_a_synced_store_continues_after_it_was_closed(tmp_path: Path) -> None:
    store = FileStore(tmp_path, fsync=True)
    assert await store.put_new("a", b"1") is True
    await store.close()
    assert await store.put_new("b", b"2") is True
    await store.close()


async def test_synced_puts_that_gather_all_succeed_and_keep_their_order(tmp_path: Path) -> None:
    store = FileStore(tmp_path, fsync=True)
    puts = [store.put_new(f"log/{n % 50}", b"%d" % n) for n in range(300)]
    created = await asyncio.gather(*puts)
    assert created == [True] * 50 + [False] * 250
    assert await store.get("log/42") == b"42"
    await store.close()


async def test_a_folder_on_a_full_disk_is_still_read(tmp_path: Path) -> None:
    def full(_: str, __: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    store = FileStore(tmp_path)
    await store.put_new("a", b"x")
    again = FileStore(tmp_path, link=full)
    assert await again.get("a") == b"x"
    with pytest.raises(Unavailable):
        await again.put_new("b", b"y")
    with pytest.raises(Unavailable):
        await again.check()
