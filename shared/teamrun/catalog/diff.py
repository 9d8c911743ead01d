"""What differs between two definitions."""

from collections.abc import Iterator, Sequence
from typing import Any, cast

from teamrun.catalog.resources import Change
from teamrun.components.reading.problems import pointer
from teamrun.json_types import JsonObject

__all__ = ["differences"]

_ABSENT = object()


def differences(before: JsonObject, after: JsonObject) -> list[Change]:
    """The differences, in the order of the newer definition."""
    return list(_values("", "", before, after))


def _values(old_place: str, place: str, before: Any, after: Any) -> Iterator[Change]:
    if before is _ABSENT:
        yield Change(kind="added", pointer=place, after=after)
    elif after is _ABSENT:
        yield Change(kind="removed", pointer=old_place, before=before)
    elif isinstance(before, dict) and isinstance(after, dict):
        yield from _members(old_place, place, cast("JsonObject", before), cast("JsonObject", after))
    elif (named := _both_named(before, after)) is not None:
        rows = (cast("list[Any]", before), cast("list[Any]", after))
        yield from _members(old_place, place, *named, before=rows[0], after=rows[1])
    elif not _are_equal(before, after):
        yield Change(kind="changed", pointer=place, before=before, after=after)


def _are_equal(before: Any, after: Any) -> bool:
    return type(before) is type(after) and before == after  # True equals 1


def _members(
    old_place: str,
    place: str,
    old: JsonObject,
    new: JsonObject,
    *,
    before: Sequence[Any] | None = None,
    after: Sequence[Any] | None = None,
) -> Iterator[Change]:
    """Members of objects, or of the two lists whose items have names."""
    olds = {key: key if before is None else number for number, key in enumerate(old)}
    news = {key: key if after is None else number for number, key in enumerate(new)}
    for key in [*new, *(key for key in old if key not in new)]:
        yield from _values(
            pointer(old_place, olds.get(key, "")),
            pointer(place, news.get(key, "")),
            old.get(key, _ABSENT),
            new.get(key, _ABSENT),
        )
    common = [key for key in old if key in new]
    if before is not None and common != [key for key in new if key in old]:
        yield Change(kind="changed", pointer=place, before=list(old), after=list(new))


def _both_named(before: Any, after: Any) -> tuple[JsonObject, JsonObject] | None:
    old, new = _named(before), _named(after)
    return None if old is None or new is None else (old, new)


def _named(value: Any) -> JsonObject | None:
    """The items of a list by their names; None if an item has none, or two have the same."""
    if not isinstance(value, list):
        return None
    items = cast("list[Any]", value)
    found: JsonObject = {}
    for item in items:
        name = cast("JsonObject", item).get("name") if isinstance(item, dict) else None
        if isinstance(name, str):
            found[name] = item
    return found if items and len(found) == len(items) else None
