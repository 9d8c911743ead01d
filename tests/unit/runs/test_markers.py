"""Lists in both directions and within a range of time, against sorting everything."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from tests.support.examples import examples

from teamrun.core.refs import RunRef
from teamrun.runs.log.keys import list_folder, list_marker
from teamrun.runs.service.list_markers import Markers
from teamrun.storage.memory import MemoryStore

NOW = datetime(2026, 3, 1, tzinfo=UTC)

# Bursts within a millisecond, and gaps of up to a year.
AGES = st.lists(
    st.one_of(st.integers(0, 3), st.integers(0, 400_000), st.integers(0, 31_000_000_000)),
    max_size=40,
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
)
async def test_every_marker_of_the_range_comes_once_and_in_order(
    ages: list[int], order: str, size: int, listed: int, bounds: tuple[int | None, int | None]
) -> None:
    newest, oldest = (None if age is None else _at(age) for age in bounds)
    store = MemoryStore()
    folder = list_folder("default")
    names: list[tuple[str, datetime]] = []
    for n, age in enumerate(ages):
        key = list_marker(RunRef("default", f"run_{n}"), _at(age))
        await store.put_new(key, b"")
        names.append((key.removeprefix(folder), _at(age)))
    expected = sorted(
        name
        for name, at in names
        if (newest is None or at <= newest) and (oldest is None or at >= oldest)
    )
    if order == "asc":
        expected.reverse()
    markers = Markers(store, folder, newest=newest, oldest=oldest, listed=listed)
    assert await _all(markers, order, size) == expected


async def test_the_oldest_of_many_runs_are_found_with_few_listings() -> None:
    class Counting(MemoryStore):
        listings = 0

        async def list(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[str]:
            self.listings += 1
            return await super().list(prefix, after=after, limit=limit)

    store = Counting()
    folder = list_folder("default")
    for n in range(3_000):
        await store.put_new(list_marker(RunRef("default", f"run_{n}"), _at(n * 60_000)), b"")
    names, _ = await Markers(store, folder).newer("", 100)
    assert [name.partition(".")[2] for name in names] == [
        f"run_{n}" for n in range(2_999, 2_899, -1)
    ]
    assert store.listings <= 25
