"""Lists in both directions and within a range of time, against sorting everything."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.examples import examples

from teamrun.core.refs import RunRef
from teamrun.runs.log.keys import list_folder, list_marker
from teamrun.runs.service.list_markers import Markers
from teamrun.storage.file import FileStore
from teamrun.storage.memory import MemoryStore

NOW = datetime(2026, 3, 1, tzinfo=UTC)

# Bursts within a millisecond, and gaps of up to a year.
AGES = st.lists(
    st.one_of(st.integers(0, 3), st.integers(0, 400_000), st.integers(0, 31_000_000_000)),
    max_size=40,
)
# What does not belong to the index, but lies in its folders.
FOREIGN = st.lists(
    st.sampled_from(
        [
            "index/nonsense",
            "index/82279/nonsense",
            "index/0000000000000.misplaced",
            "index/99/99/99/9999999999999.misplaced",
        ]
    ),
    unique=True,
)


def _at(age_ms: int) -> datetime:
    return NOW - timedelta(milliseconds=age_ms)


async def _all(markers: Markers, order: str, size: int) -> list[str]:
    found: list[str] = []
    while True:
        after = found[-1] if found else ""
        read = markers.newer if order == "asc" else markers.older
        names, is_last = await read(after, size)
        assert len(names) <= size
        found += names
        if is_last:
            return found
        assert names, "a page that is not the last has something to go on from"


@examples(150)
@given(
    ages=AGES,
    order=st.sampled_from(["asc", "desc"]),
    size=st.integers(1, 6),
    listed=st.integers(6, 12),
    bounds=st.tuples(st.none() | st.integers(0, 400_000), st.none() | st.integers(0, 400_000)),
    foreign=FOREIGN,
)
async def test_every_marker_of_the_range_comes_once_and_in_order(
    ages: list[int],
    order: str,
    size: int,
    listed: int,
    bounds: tuple[int | None, int | None],
    foreign: list[str],
) -> None:
    newest, oldest = (None if age is None else _at(age) for age in bounds)
    store = MemoryStore()
    for key in foreign:
        await store.put_new(f"t/default/{key}", b"")
    names: list[tuple[str, datetime]] = []
    for n, age in enumerate(ages):
        key = list_marker(RunRef("default", f"run_{n}"), _at(age))
        await store.put_new(key, b"")
        names.append((key.rpartition("/")[2], _at(age)))
    expected = sorted(
        name
        for name, at in names
        if (newest is None or at <= newest) and (oldest is None or at >= oldest)
    )
    if order == "asc":
        expected.reverse()
    markers = Markers(store, "default", newest=newest, oldest=oldest, listed=listed)
    assert await _all(markers, order, size) == expected


async def test_the_oldest_of_many_runs_are_found_with_few_listings() -> None:
    class Counting(MemoryStore):
        listings = 0

        async def list(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[str]:
            self.listings += 1
            return await super().list(prefix, after=after, limit=limit)

    store = Counting()
    for n in range(3_000):
        await store.put_new(list_marker(RunRef("default", f"run_{n}"), _at(n * 60_000)), b"")
    names, _ = await Markers(store, "default").newer("", 100)
    assert [name.partition(".")[2] for name in names] == [
        f"run_{n}" for n in range(2_999, 2_899, -1)
    ]
    assert store.listings <= 25


@pytest.mark.parametrize("apart_ms", [10, 1_000, 60_000])
async def test_a_page_reads_as_few_names_of_folders_however_many_runs_there_are(
    apart_ms: int, tmp_path: Path
) -> None:
    read: dict[int, int] = {}
    for count in (40, 4_000):
        root = tmp_path / str(count)
        store = FileStore(root)
        for n in range(count):
            path = root / list_marker(RunRef("default", f"run_{n}"), _at(n * apart_ms))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        with _names_read(root / list_folder("default")) as names:
            await Markers(store, "default").older("", 21)
        read[count] = len(names)
    full = min(10_000 // apart_ms, 4_000)  # the runs of 10 seconds
    assert read[4_000] <= max(read[40], full) + 3 * 100  # and all names of three folders


@contextmanager
def _names_read(folder: Path) -> Generator[list[str]]:
    """The names that are read of a folder and those within, each time they are."""
    scan, names = os.scandir, list[str]()

    def counted(path: str) -> object:
        if Path(path).is_relative_to(folder):
            with scan(path) as found:  # not `Path.iterdir`, which calls this function in 3.13
                names.extend(each.name for each in found)
        return scan(path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "scandir", counted)
        yield names
