"""Results as CSV: texts that a spreadsheet would execute."""

import csv
import io
from collections.abc import AsyncGenerator
from datetime import UTC, datetime

import pytest

from teamrun.batches.resources import ItemResult
from teamrun.batches.results import as_csv
from teamrun.runs.log.output import Output
from teamrun.runs.log.usage import Usage

FORMULAS = [
    '=HYPERLINK("https://example.com")',
    "+1+cmd",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "- x",
]
TEXTS = ["a=b", "", "'=1", "-5", "+3.25", "-1,000.5", "1e-7", "x\n- 1", "日本"]


async def table(text: str, *, escapes: bool = True) -> dict[str, str]:
    result = ItemResult(
        custom_id=text,
        index=0,
        status="completed",
        output=Output(text=text),
        usage=Usage(input_tokens=7),
        run_id="run_1",
        finished_at=datetime(2026, 1, 1, tzinfo=UTC),
    )

    async def lines() -> AsyncGenerator[bytes, None]:
        yield result.model_dump_json(by_alias=True).encode() + b"\n"

    data = b"".join([piece async for piece in as_csv(lines(), escapes_formulas=escapes)])
    [row] = csv.DictReader(io.StringIO(data.decode(), newline=""))
    return row


@pytest.mark.parametrize("text", FORMULAS)
async def test_a_formula_is_escaped_unless_the_client_wants_exact_texts(text: str) -> None:
    safe, exact = await table(text), await table(text, escapes=False)

    assert safe["output"] == safe["custom_id"]
    assert safe["output"][0] == "'"
    assert safe["output"].replace("'", "") == text
    assert (exact["custom_id"], exact["output"]) == (text, text)


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("x;=1+1", "x;'=1+1"),
        ("a\t@b", "a\t'@b"),
        ("two\n=1+1\r\n+2", "two\n'=1+1\r\n'+2"),
        ("list:\n- one; two\n---", "list:\n- one; two\n---"),
    ],
)
async def test_a_formula_after_another_separator_is_escaped(text: str, escaped: str) -> None:
    assert (await table(text))["output"] == escaped


@pytest.mark.parametrize("text", TEXTS)
async def test_other_texts_and_numbers_stay_as_they_are(text: str) -> None:
    row = await table(text)

    assert (row["output"], row["input_tokens"]) == (text, "7")
