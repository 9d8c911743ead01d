"""The items of a batch: from the lines of a file to checked items, or to problems with a line."""

import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import NamedTuple, cast

from pydantic import ValidationError
from pydantic_core import from_json

from teamrun.batches.lines import MAX_LINE_BYTES, Line, numbered_lines
from teamrun.batches.requests import MAX_ITEMS, BatchItem
from teamrun.batches.rows import Row, Template, rows
from teamrun.batches.spec import StoredItem
from teamrun.components.reading.problems import pointer
from teamrun.errors import DefinitionError, InvalidItems
from teamrun.json_types import JsonObject
from teamrun.validation import misfits

__all__ = ["Choice", "Chosen", "Items", "Problem", "items_of_csv", "items_of_jsonl"]


class Problem(NamedTuple):
    """Why a line is no item."""

    line: int
    code: str
    detail: str
    custom_id: str | None = None
    last_line: int | None = None
    """The last line that is left out, if a row of a CSV file has several."""

    @property
    def lines(self) -> int:
        """The number of lines that are left out."""
        return 1 if self.last_line is None else self.last_line - self.line + 1

    def as_json(self) -> JsonObject:
        """The form in answers and in `invalid.jsonl`."""
        return {**self._asdict()}


class Numbered(NamedTuple):
    """An item and its line."""

    line: int
    item: BatchItem
    last_line: int | None = None
    """Its last line, if it has several."""


Parsed = Numbered | Problem


class Chosen(NamedTuple):
    """What the fields of an item select."""

    variant: int
    temperature: float | None


Choice = Callable[[BatchItem], Chosen]
"""Selects the team of an item. Raises `DefinitionError` for an unknown model or a bad schema."""


class Items:
    """Checks items one after the other: names that are unique, models that exist, a bound.

    Args:
        choose: Selects the team of an item.
    """

    def __init__(self, choose: Choice) -> None:
        self._choose = choose
        self._seen = set[bytes]()
        self.count = 0
        """The number of valid items."""
        self.invalid = 0
        """The number of invalid ones."""

    def check(self, parsed: Parsed) -> StoredItem | Problem:
        """The item as it is stored, or why it is invalid.

        Raises:
            InvalidItems: There are too many items.
        """
        found = parsed if isinstance(parsed, Problem) else self._stored(parsed)
        if isinstance(found, Problem):
            self.invalid += 1
        else:
            self.count += 1
        if self.count + self.invalid > MAX_ITEMS:
            detail = f"The batch has more than {MAX_ITEMS} lines; divide it into several."
            line = parsed.line
            problem = Problem(line, "too_many_items", detail)
            raise InvalidItems(detail, problems=[problem.as_json()])
        return found

    def _stored(self, numbered: Numbered) -> StoredItem | Problem:
        line, item, last = numbered
        custom_id = item.custom_id or str(self.count + 1)
        digest = hashlib.blake2b(custom_id.encode(), digest_size=16).digest()
        if digest in self._seen:
            detail = f"custom_id {custom_id!r} is used by an earlier item; give each its own."
            return Problem(line, "duplicate_custom_id", detail, custom_id, last)
        try:
            chosen = self._choose(item)
        except DefinitionError as error:
            is_schema = error.pointer.startswith("/output_schema")
            place = f"`{error.pointer[1:]}`: " if is_schema else ""
            return Problem(line, error.code, f"{place}{error.message}", custom_id, last)
        self._seen.add(digest)
        return StoredItem.model_construct(
            custom_id=custom_id,
            input=item.input,
            variant=chosen.variant,
            temperature=chosen.temperature,
            metadata=item.metadata,
        )


async def items_of_jsonl(chunks: AsyncIterator[bytes]) -> AsyncIterator[Sequence[Parsed]]:
    """The items of a file with a JSON object per line; blank lines are skipped.

    Raises:
        InvalidItems: The file as a whole cannot be read.
    """
    async for lines in numbered_lines(chunks):
        yield [_item_of(line) for line in lines if line.data is None or line.data.strip()]


def _item_of(line: Line) -> Parsed:
    if line.data is None:
        detail = f"The line has more than {MAX_LINE_BYTES} bytes."
        return Problem(line.number, "line_too_long", detail)
    try:
        return Numbered(line.number, BatchItem.model_validate_json(line.data))
    except ValidationError as error:
        return _problem(line.number, line.data, error)


def _problem(number: int, data: bytes, error: ValidationError) -> Problem:
    try:
        value: object = from_json(data, allow_inf_nan=False)
    except ValueError as fault:
        return Problem(number, "invalid_json", f"The line is not JSON in UTF-8: {fault}.")
    first, *others = misfits(error, value)
    what = f"`{pointer('', *first.path)[1:]}`" if first.path else "The line"
    more = f" ({len(others)} more)" if others else ""
    fields = cast("JsonObject", value) if isinstance(value, dict) else {}
    custom_id = fields.get("custom_id")
    name = custom_id[:256] if isinstance(custom_id, str) else None
    return Problem(number, "invalid_item", f"{first.sentence(what)}{more}", name)


async def items_of_csv(
    chunks: AsyncIterator[bytes], template: str | None
) -> AsyncIterator[Sequence[Parsed]]:
    """The items of a CSV file with a header.

    The column `custom_id` names the items, if there is one.

    Args:
        chunks: The file.
        template: The task of a row; by default its column `input`.

    Raises:
        InvalidItems: The file as a whole cannot be read, or the template does not match it.
    """
    filled = Template(template)
    async for batch in rows(numbered_lines(chunks), filled.check):
        yield [_item_of_row(row, filled) for row in batch]


def _item_of_row(row: Row, template: Template) -> Parsed:
    line, last = row.number, None if row.last == row.number else row.last
    if row.values is None:
        end = "" if last is None else f" The row ends in line {last}."
        detail = f"{row.fault[0].upper()}{row.fault[1:]}.{end}"
        return Problem(line, "invalid_row", detail, None, last)
    custom_id = row.values.get("custom_id") or None
    name = custom_id and custom_id[:256]
    if template.size(row.values) > MAX_LINE_BYTES:
        detail = f"The task has more than {MAX_LINE_BYTES} characters; shorten it or the template."
        return Problem(line, "task_too_large", detail, name, last)
    task = {"custom_id": custom_id, "input": template.filled(row.values)}
    try:
        return Numbered(line, BatchItem.model_validate(task), last)
    except ValidationError as error:
        text = misfits(error, task)[0].sentence("`custom_id`")
        return Problem(line, "invalid_item", text, name, last)
