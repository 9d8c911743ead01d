"""The names that count ended items."""

from decimal import Decimal

import pytest

from teamrun.batches.done import DoneItem, done_key, read_name, tally_of
from teamrun.batches.entries import Tally
from teamrun.runs.log.usage import Usage
from teamrun.storage.keys import check_key


@pytest.mark.parametrize("cost", [None, "0", "1E-7", "0.000001234567", "12345.67", "1E+3"])
def test_a_name_has_all_that_is_counted(cost: str | None) -> None:
    price = None if cost is None else Decimal(cost)
    usage = Usage(input_tokens=12, output_tokens=3_000_000_000, cost_usd=price)

    key = done_key("t/default/batches/00/bat_1/r001/done/", 99_999, "completed", usage)

    check_key(key)
    assert read_name(key) == DoneItem(key, 99_999, "completed", 12, 3_000_000_000, price)


@pytest.mark.parametrize("name", ["", "x", "1-completed-1-1", "a-completed-1-1-x", "1-c-1-1-y"])
def test_other_names_are_left_out(name: str) -> None:
    assert read_name(f"done/{name}") is None


def test_sums_are_exact_and_a_price_that_is_unknown_stays_unknown() -> None:
    def item(position: int, status: str, cost: str | None) -> DoneItem:
        return DoneItem("", position, status, 1, 2, None if cost is None else Decimal(cost))

    priced = tally_of([item(0, "completed", "0.1"), item(1, "failed", "0.2")])
    unpriced = tally_of([item(2, "completed", None)])

    assert priced.cost_usd == Decimal("0.3")
    assert unpriced.cost_usd is None
    assert priced.plus(unpriced, Tally()) == Tally(
        by_status={"completed": 2, "failed": 1},
        input_tokens=3,
        output_tokens=6,
        cost_usd=Decimal("0.3"),
    )
