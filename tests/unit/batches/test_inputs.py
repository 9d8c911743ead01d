"""Files of items: what is accepted, and what is refused with a line and a reason."""

import codecs
import gzip
import tracemalloc
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from tests.support.batches import Batches, jsonl, pieces
from tests.support.runs import TENANT

from teamrun.batches import items as items_module
from teamrun.batches.chunks import StoredItems
from teamrun.batches.keys import BatchRef, part_key, upload_marker
from teamrun.batches.lines import MAX_LINE_BYTES, Line
from teamrun.batches.log import BatchLog
from teamrun.batches.requests import BatchRequest
from teamrun.batches.resources import Batch
from teamrun.batches.rows import rows
from teamrun.core.ids import derived_id
from teamrun.errors import FileNotFound, FileTooLarge, InvalidItems, UsageError


async def inputs(batches: Batches, batch: Batch) -> list[tuple[str, object]]:
    ref = BatchRef(TENANT, batch.id)
    log = BatchLog(batches.store, ref, writer="test", clock=batches.cluster.clock)
    stored = StoredItems(batches.store, ref, (await log.existing()).spec)
    found = [await stored.get(index) for index in range(batch.counts.total)]
    return [(item.custom_id, item.input) for item in found]


@dataclass(frozen=True)
class Good:
    id: str
    data: bytes
    inputs: list[tuple[str, object]]
    name: str = "tasks.jsonl"
    template: str | None = None


GOOD = [
    Good("plain", jsonl({"custom_id": "a", "input": "x"}), [("a", "x")]),
    Good("no names", jsonl({"input": "x"}, {"input": "y"}), [("1", "x"), ("2", "y")]),
    Good("byte order mark", codecs.BOM_UTF8 + jsonl({"input": "x"}), [("1", "x")]),
    Good("CRLF", b'{"input": "x"}\r\n{"input": "y"}\r\n', [("1", "x"), ("2", "y")]),
    Good(
        "empty lines", b'\n\n{"input": "x"}\n  \n\r\n{"input": "y"}\n\n', [("1", "x"), ("2", "y")]
    ),
    Good("no last line break", b'{"input": "x"}\n{"input": "y"}', [("1", "x"), ("2", "y")]),
    Good("unicode", '{"custom_id": "ключ", "input": "日本 🚀"}\n'.encode(), [("ключ", "日本 🚀")]),
    Good("escapes", rb'{"input": "\ud83d\ude80 \u0000 \n"}', [("1", "🚀 \x00 \n")]),
    Good("a megabyte", jsonl({"input": "é" * 524_288}), [("1", "é" * 524_288)]),
    Good("CSV", b"custom_id,input\na,x\nb,y\n", [("a", "x"), ("b", "y")], name="t.csv"),
    Good("capital CSV", b"INPUT,input\na,x\n", [("1", "x")], name="T.CSV"),
    Good(
        "CSV template",
        b'title,body\r\nOne,"a, ""b""\r\n\r\nc"\r\n',
        [("1", 'Summarise One: a, "b"\n\nc {x}')],
        name="t.csv",
        template="Summarise {title}: {body} {{x}}",
    ),
    Good(
        "CSV of a spreadsheet", b"\xef\xbb\xbfid;input\r\n1;x\r\n\r\n", [("1", "x")], name="t.csv"
    ),
    Good("tabs", b"id\tinput\n1\tx\n", [("1", "x")], name="t.csv"),
    Good(
        "a quote inside a value",
        b'input\n5" disk\nx "y" z\n',
        [("1", '5" disk'), ("2", 'x "y" z')],
        "t.csv",
    ),
    Good("a quoted header", b'"a, b";input\n1;x\n', [("1", "x")], name="t.csv"),
    Good("a header of two lines", b'"a\nb";input\r\n1;x\r\n', [("1", "x")], name="t.csv"),
    Good(
        "quotes in quotes", b'input,b\n"""",""\n"","a\n"""\n', [("1", '"'), ("2", "")], name="t.csv"
    ),
    Good(
        "braces",
        b"a,b c\n1,2\n",
        [("1", "{1} {a} 2")],
        name="t.csv",
        template="{{{a}}} {{a}} {b c}",
    ),
    Good(
        "a CSV megabyte", b"input\n" + b"\xc3\xa9" * 524_288, [("1", "é" * 524_288)], name="t.csv"
    ),
    Good(
        "CSV unicode",
        "custom_id,input\nключ,日本 🚀\n".encode(),
        [("ключ", "日本 🚀")],
        name="t.csv",
    ),
    Good("CSV without a last line break", b"input\nx\ny", [("1", "x"), ("2", "y")], name="t.csv"),
    Good("empty CSV lines", b"\n\r\ninput\n\n x \n \t\n", [("1", " x ")], name="t.csv"),
    Good("empty CSV values", b"a,input\n,\n", [("1", "")], name="t.csv"),
    Good("large CSV value", b"input\n" + b"x" * 200_000, [("1", "x" * 200_000)], name="t.csv"),
]


@pytest.mark.parametrize("case", GOOD, ids=lambda case: case.id)
@pytest.mark.parametrize("size", [7, 1 << 20])
async def test_input_is_accepted(case: Good, size: int) -> None:
    batches = Batches()
    file = await batches.service.files.upload(
        TENANT, pieces(case.data, max(size, len(case.data) // 10_000)), name=case.name, limit=10**8
    )

    more = {} if case.template is None else {"input_template": case.template}
    batch = await batches.submit_file(case.data, name=case.name, **more)

    assert await inputs(batches, batch) == case.inputs
    assert file.size == len(case.data)


@dataclass(frozen=True)
class Bad:
    id: str
    data: bytes
    problems: list[tuple[int, str]]
    name: str = "tasks.jsonl"
    template: str | None = None


OK = '{"input": "x"}'

BAD = [
    Bad("empty", b"", [(1, "empty_file")]),
    Bad("only blank lines", b"\n \n", [(1, "empty_file")]),
    Bad("not JSON", jsonl(OK, "{nope}", OK), [(2, "invalid_json")]),
    Bad("truncated", jsonl(OK) + b'{"input": "x', [(2, "invalid_json")]),
    Bad("not an object", jsonl("[1]"), [(1, "invalid_item")]),
    Bad("no input", jsonl({"custom_id": "a"}), [(1, "invalid_item")]),
    Bad("unknown field", jsonl({"input": "x", "inputs": 1}), [(1, "invalid_item")]),
    Bad("lone surrogate name", rb'{"custom_id": "\ud800", "input": "x"}', [(1, "invalid_json")]),
    Bad("not UTF-8", jsonl(OK) + b'{"input": "\xe9"}', [(2, "invalid_json")]),
    Bad(
        "duplicates",
        jsonl({"custom_id": "a", "input": "x"}, OK, {"custom_id": "a", "input": "y"}),
        [(3, "duplicate_custom_id")],
    ),
    Bad(
        "a name that is a position",
        jsonl({"custom_id": "2", "input": "x"}, OK),
        [(2, "duplicate_custom_id")],
    ),
    Bad(
        "unknown model", jsonl({"input": "x", "overrides": {"model": "n"}}), [(1, "unknown_model")]
    ),
    Bad("too long", jsonl(OK, {"input": "x" * MAX_LINE_BYTES}, OK), [(2, "line_too_long")]),
    Bad("gzip", gzip.compress(jsonl(OK)), [(1, "compressed_file")]),
    Bad("UTF-16", OK.encode("utf-16"), [(1, "wrong_encoding")]),
    Bad("UTF-16 without a mark", OK.encode("utf-16-le"), [(1, "wrong_encoding")]),
    Bad("UTF-32", OK.encode("utf-32"), [(1, "wrong_encoding")]),
    Bad("a spreadsheet", b"PK\x03\x04 rest", [(1, "compressed_file")], name="t.csv"),
    Bad("CSV without rows", b"input\n", [(1, "empty_file")], name="t.csv"),
    Bad("empty CSV", b"", [(1, "empty_file")], name="t.csv"),
    Bad("missing column", b"title\nx\n", [(1, "unknown_column")], name="t.csv"),
    Bad("template names another", b"a\nx\n", [(1, "unknown_column")], name="t.csv", template="{b}"),
    Bad("open brace", b"a\nx\n", [(1, "unpaired_brace")], name="t.csv", template="{a"),
    Bad("two columns of a name", b"a,a\nx,y\n", [(1, "invalid_header")], name="t.csv"),
    Bad("column without a name", b"input,\nx,y\n", [(1, "invalid_header")], name="t.csv"),
    Bad("open quote in the header", b'"input\n', [(1, "invalid_header")], name="t.csv"),
    Bad("a value too many", b"input,b\nx,y\nz,1,2\n", [(3, "invalid_row")], name="t.csv"),
    Bad(
        "too many columns",
        b",".join(b"c%d" % n for n in range(16_385)),
        [(1, "invalid_header")],
        name="t.csv",
    ),
    Bad("CSV with a byte order mark alone", codecs.BOM_UTF8, [(1, "empty_file")], name="t.csv"),
    Bad("only blank CSV lines", b"\n \r\n", [(1, "empty_file")], name="t.csv"),
    Bad("CSV gzip", gzip.compress(b"input\nx\n"), [(1, "compressed_file")], name="t.csv"),
    Bad("CSV UTF-16", "input\nx\n".encode("utf-16"), [(1, "wrong_encoding")], name="t.csv"),
    Bad(
        "CSV UTF-16 without a mark",
        "input\nx\n".encode("utf-16-be"),
        [(1, "wrong_encoding")],
        name="t.csv",
    ),
    Bad(
        "CSV duplicates",
        b'custom_id,input\na,x\nb,y\na,"z\nz"\n',
        [(4, "duplicate_custom_id")],
        name="t.csv",
    ),
    Bad(
        "CSV name that is too long",
        b"custom_id,input\n" + b"n" * 257 + b",x\n",
        [(2, "invalid_item")],
        name="t.csv",
    ),
    Bad(
        "a large line",
        b"input\nx\n" + b"y" * MAX_LINE_BYTES + b"z\nx\n",
        [(3, "invalid_row")],
        name="t.csv",
    ),
    Bad("text after a quote", b'input\nx\n"y"z\nx\n', [(3, "invalid_row")], name="t.csv"),
    Bad("a truncated last row", b"input,b\nx,y\nx", [(3, "invalid_row")], name="t.csv"),
    Bad(
        "empty column name in a template",
        b"a\nx\n",
        [(1, "unknown_column")],
        name="t.csv",
        template="{}",
    ),
    Bad("closing brace", b"a\nx\n", [(1, "unpaired_brace")], name="t.csv", template="{a}}"),
    Bad("a brace in a brace", b"a\nx\n", [(1, "unpaired_brace")], name="t.csv", template="{a{a}"),
    Bad(
        "a template that repeats a large value",
        b"input\n" + b"x" * 2_000_000 + b"\n",
        [(2, "task_too_large")],
        name="t.csv",
        template="{input}" * 9_000,
    ),
    Bad("values", b"input,b\nx,y\nz\n", [(3, "invalid_row")], name="t.csv"),
    Bad("open quote", b'input\nx\n"y\nz\n', [(3, "invalid_row")], name="t.csv"),
    Bad("Latin-1", b"input\nx\n\xe9\n", [(3, "invalid_row")], name="t.csv"),
    Bad("template without CSV", jsonl(OK), [(0, "template_without_csv")], template="{a}"),
]


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.id)
async def test_input_is_refused_with_its_line(case: Bad) -> None:
    batches = Batches()
    more = {} if case.template is None else {"input_template": case.template}

    with pytest.raises(InvalidItems) as caught:
        await batches.submit_file(case.data, name=case.name, **more)

    found = [(problem["line"], problem["code"]) for problem in caught.value.problems]
    assert found == case.problems
    assert await batches.store.list("batches/") == []
    assert not [key for key in await batches.store.list("t/") if "/batches/" in key]


async def test_invalid_lines_are_left_out_and_kept_as_errors() -> None:
    batches = Batches()
    data = jsonl({"custom_id": "a", "input": "x"}, "{nope}", {"custom_id": "b"}, OK)

    batch = await batches.submit_file(data, on_invalid="skip")
    ended = await batches.finish(batch)

    assert (batch.skipped, ended.counts.completed) == (2, 2)
    errors = await batches.errors(batch)
    assert [(e["line"], e["code"], e["custom_id"]) for e in errors] == [
        (2, "invalid_json", None),
        (3, "invalid_item", "b"),
    ]


@dataclass(frozen=True)
class Left:
    id: str
    data: bytes
    tasks: list[str]
    left_out: list[tuple[int, int | None, str]]
    skipped: int


LARGE = b"n" * 1_000_000

LEFT_OUT = [
    Left(
        "a quote that is never closed",
        b'input,b\na,1\n"b,1\nc,1\nd,1\n',
        ["a"],
        [(3, 5, "invalid_row")],
        3,
    ),
    Left(
        "a quote that is closed after the largest row",
        b'input,b\na,1\n"b,1\n' + b",1\n".join([LARGE] * 5) + b',1\nx"y,1\nz,1\n',
        ["a", "z"],
        [(3, 9, "invalid_row")],
        7,
    ),
    Left(
        "a quote that is closed by another one",
        b'input,b\na,1\n"b,1\nc,1\n"d",1\ne,1\n',
        ["a", "e"],
        [(3, 5, "invalid_row")],
        3,
    ),
    Left(
        "a row of two lines without all values",
        b'input,b\na,1\n"b\nb"\ne,1\n',
        ["a", "e"],
        [(3, 4, "invalid_row")],
        2,
    ),
    Left(
        "a line that is too long, in quotes",
        b'input,b\na,1\n"b\n' + LARGE * 5 + b"\nc,1\nd,1\n",
        ["a", "c", "d"],
        [(3, 4, "invalid_row")],
        2,
    ),
    Left(
        "duplicates of two lines",
        b'custom_id,input\n1,a\n1,"b\nb"\n2,c\n',
        ["a", "c"],
        [(3, 4, "duplicate_custom_id")],
        2,
    ),
]


@pytest.mark.parametrize("case", LEFT_OUT, ids=lambda case: case.id)
async def test_rows_that_are_left_out_are_named_by_their_lines(case: Left) -> None:
    batches = Batches()

    batch = await batches.submit_file(case.data, name="t.csv", on_invalid="skip")

    assert [task for _, task in await inputs(batches, batch)] == case.tasks
    errors = await batches.errors(batch)
    assert [(e["line"], e["last_line"], e["code"]) for e in errors] == case.left_out
    assert batch.skipped == case.skipped


async def test_a_stray_quote_costs_no_memory() -> None:
    async def lines() -> AsyncIterator[list[Line]]:
        yield [Line(1, b"input,b"), Line(2, b'"a,1')]
        for number in range(3, 300):
            yield [Line(number, b"x" * 1_000_000)]

    tracemalloc.start()
    try:
        found = [row async for batch in rows(lines(), lambda _: None) for row in batch]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert [(row.number, row.last, row.values) for row in found] == [(2, 299, None)]
    assert peak < 4 * MAX_LINE_BYTES


async def test_too_many_items_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(items_module, "MAX_ITEMS", 3)

    with pytest.raises(InvalidItems) as caught:
        await Batches().submit_file(jsonl(*[OK] * 4))

    assert [(p["line"], p["code"]) for p in caught.value.problems] == [(4, "too_many_items")]


async def test_a_file_that_does_not_exist_is_refused() -> None:
    request = BatchRequest(team="team", input_file_id="file_none")
    with pytest.raises(InvalidItems) as caught:
        await Batches().service.submit(TENANT, request)

    assert [problem["code"] for problem in caught.value.problems] == ["file_not_found"]


async def test_files_are_listed_read_and_deleted() -> None:
    files = Batches().service.files
    data = b"x" * 20_000_000
    first = await files.upload(TENANT, pieces(data), name="a", limit=10**9)
    second = await files.upload(TENANT, pieces(b"y"), name=None, limit=10**9)

    assert [file.id for file in (await files.list(TENANT, limit=9, after=None)).data] == [
        second.id,
        first.id,
    ]
    page = await files.list(TENANT, limit=1, after=None)
    rest = await files.list(TENANT, limit=1, after=page.next_cursor)
    assert [file.id for file in (*page.data, *rest.data)] == [second.id, first.id]
    assert b"".join([chunk async for chunk in files.content(TENANT, first.id)]) == data
    last = [chunk async for chunk in files.content(TENANT, first.id, start=19_999_990)]
    assert b"".join(last) == b"x" * 10
    await files.delete(TENANT, first.id)
    with pytest.raises(FileNotFound):
        await files.get(TENANT, first.id)
    with pytest.raises(FileNotFound):
        await files.get("other", second.id)
    with pytest.raises(UsageError):
        await files.list(TENANT, limit=1, after="nonsense")


async def test_an_upload_that_fails_leaves_nothing() -> None:
    batches = Batches()

    with pytest.raises(FileTooLarge):
        await batches.service.files.upload(TENANT, pieces(b"x" * 10**7), name=None, limit=9 * 10**6)

    assert await batches.store.list("") == []


async def test_parts_of_an_abandoned_upload_are_removed_after_a_day() -> None:
    batches = Batches()
    files = batches.service.files
    kept = await files.upload(TENANT, pieces(b"x"), name=None, limit=10)
    old = derived_id("file", datetime(2026, 1, 1, tzinfo=UTC))
    for key in (upload_marker(TENANT, old), part_key(TENANT, old, 0)):
        await batches.store.put_new(key, b"")
    await batches.store.put_new(upload_marker(TENANT, kept.id), b"")

    await files.sweep()
    assert [key for key in await batches.store.list("") if old in key] == []
    batches.cluster.clock.shift += timedelta(days=2)
    await files.sweep()

    assert await batches.store.list("uploads/") == []
    assert (await files.get(TENANT, kept.id)).size == 1


async def test_a_missing_column_is_explained_by_whether_there_is_a_template() -> None:
    reasons: list[str] = []
    for template in (None, "{input}"):
        with pytest.raises(InvalidItems) as caught:
            await Batches().submit_file(b"a\nx\n", name="t.csv", input_template=template)
        reasons.append(caught.value.message)

    assert ["input_template" in reason for reason in reasons] == [False, True]
