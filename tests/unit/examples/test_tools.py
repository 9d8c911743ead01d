"""The tools of the example compute correctly: compared with sums computed here."""

import asyncio
import csv
import xml.etree.ElementTree as ET
from collections import defaultdict
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from teamrun.components.team_file import load_registry
from teamrun.errors import ToolError
from teamrun.tools import MemoryArtifacts, ToolContext

EXAMPLES = Path(__file__).parents[3] / "examples"
REGISTRY = load_registry(EXAMPLES / "teamrun.yaml", environ={})
SVG = "{http://www.w3.org/2000/svg}"


class Desk:
    """Calls the tools of one run."""

    def __init__(self) -> None:
        self.files = MemoryArtifacts()

    def call(self, tool: str, **arguments: Any) -> str:
        context = ToolContext(artifacts=self.files)
        return asyncio.run(REGISTRY.tool(tool).run_json(arguments, context=context))

    def table(self, name: str) -> list[dict[str, str]]:
        return list(csv.DictReader(self.files.read(f"{name}.csv").decode("utf-8").splitlines()))


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    desk.call("load", file="sales.csv")
    return desk


def sales() -> list[dict[str, str]]:
    with (EXAMPLES / "sales.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def revenue(row: dict[str, str]) -> Decimal:
    return Decimal(row["units"]) * Decimal(row["unit_price"])


def test_the_data_is_a_few_hundred_plain_rows() -> None:
    rows = sales()

    assert len(rows) == 337
    assert set(rows[0]) == {"date", "region", "product", "channel", "units", "unit_price"}
    assert rows == sorted(rows, key=lambda row: row["date"])


def test_load_leaves_the_table_with_revenue_and_month(desk: Desk) -> None:
    loaded = desk.table("sales")

    assert [Decimal(row["revenue"]) for row in loaded] == [revenue(row) for row in sales()]
    assert [row["month"] for row in loaded] == [row["date"][:7] for row in sales()]


def test_load_describes_the_data_to_the_model() -> None:
    told = Desk().call("load", file="sales.csv")

    assert "337 rows" in told and "- region: East, North, South, West" in told


def test_sums_by_one_column_agree_with_decimal_arithmetic(desk: Desk) -> None:
    expected: dict[str, Decimal] = defaultdict(Decimal)
    for row in sales():
        expected[row["region"]] += revenue(row)

    told = desk.call(
        "aggregate", table="sales", by=["region"], of="revenue", measure="sum", into="by_region"
    )

    rows = desk.table("by_region")
    assert {row["region"]: Decimal(row["revenue"].replace(",", "")) for row in rows} == expected
    assert told.endswith(f"Total revenue: {sum(expected.values()):,.2f}")


def test_sums_by_two_columns_agree_with_decimal_arithmetic(desk: Desk) -> None:
    expected: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for row in sales():
        expected[row["date"][:7], row["channel"]] += revenue(row)

    desk.call(
        "aggregate",
        table="sales",
        by=["month", "channel"],
        of="revenue",
        measure="sum",
        into="both",
    )

    found = {
        (row["month"], row["channel"]): Decimal(row["revenue"].replace(",", ""))
        for row in desk.table("both")
    }
    assert found == expected


def middle(values: list[int]) -> float:
    ordered = sorted(values)
    half = len(ordered) // 2
    return float(ordered[half]) if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


@pytest.mark.parametrize(
    ("measure", "own"),
    [("count", len), ("min", min), ("max", max), ("median", middle)],
)
def test_each_measure_measures(desk: Desk, measure: str, own: Callable[[list[int]], float]) -> None:
    by_product: dict[str, list[int]] = defaultdict(list)
    for row in sales():
        by_product[row["product"]].append(int(row["units"]))

    desk.call("aggregate", table="sales", by=["product"], of="units", measure=measure, into="m")

    found = {row["product"]: float(row["units"]) for row in desk.table("m")}
    assert found == {product: own(values) for product, values in by_product.items()}


@pytest.mark.parametrize(
    ("column", "operator", "value"),
    [
        ("region", "=", "North"),
        ("region", "!=", "North"),
        ("units", ">", "9"),
        ("units", "<=", "9"),
        ("date", ">=", "2025-04-01"),
        ("date", "<", "2025-04-01"),
        ("product", "contains", "ES"),
    ],
)
def test_filter_keeps_what_fulfils_the_condition(
    desk: Desk, column: str, operator: str, value: str
) -> None:
    def holds(cell: str) -> bool:
        left: Any = int(cell) if cell.isdigit() else cell
        right: Any = int(value) if value.isdigit() else value
        return {
            "=": left == right,
            "!=": left != right,
            ">": left > right,
            "<=": left <= right,
            ">=": left >= right,
            "<": left < right,
            "contains": str(right).lower() in str(left).lower(),
        }[operator]

    told = desk.call(
        "filter", table="sales", column=column, operator=operator, value=value, into="kept"
    )

    expected = [row for row in sales() if holds(row[column])]
    kept = [{name: row[name] for name in expected[0]} for row in desk.table("kept")]
    assert kept == expected
    assert f"{len(expected)} of 337 rows" in told


def test_a_filtered_table_is_filtered_and_summed_again(desk: Desk) -> None:
    desk.call("filter", table="sales", column="region", operator="=", value="North", into="north")
    desk.call("filter", table="north", column="channel", operator="=", value="online", into="web")
    desk.call("aggregate", table="web", by=["month"], of="revenue", measure="sum", into="m")

    expected = sum(
        revenue(row)
        for row in sales()
        if (row["region"], row["channel"], row["date"][:7]) == ("North", "online", "2025-06")
    )
    assert desk.table("m")[-1]["revenue"] == f"{expected:,.2f}" == "7,161.00"


def test_a_bar_chart_has_a_bar_per_label_as_high_as_its_value(desk: Desk) -> None:
    desk.call(
        "aggregate", table="sales", by=["region"], of="revenue", measure="sum", into="by_region"
    )
    desk.call("chart", table="by_region", x="region", y="revenue", title="Sales", name="bars")

    root = ET.fromstring(desk.files.read("bars.svg"))
    bars = [rect for rect in root.iter(f"{SVG}rect") if rect.get("rx") == "3"]
    values = [Decimal(row["revenue"].replace(",", "")) for row in desk.table("by_region")]
    heights = [float(str(bar.get("height"))) for bar in bars]
    ratios = [height / float(value) for height, value in zip(heights, values, strict=True)]
    assert ratios == pytest.approx([ratios[0]] * 4, rel=1e-3)
    assert desk.files.media_types["bars.svg"] == "image/svg+xml"


def test_a_line_chart_has_a_line_per_series_and_a_point_per_value(desk: Desk) -> None:
    desk.call(
        "aggregate", table="sales", by=["month", "region"], of="revenue", measure="sum", into="m"
    )
    desk.call(
        "chart",
        table="m",
        x="month",
        y="revenue",
        series="region",
        kind="line",
        title="T",
        name="l",
    )

    root = ET.fromstring(desk.files.read("l.svg"))
    lines = list(root.iter(f"{SVG}polyline"))
    assert [len(str(line.get("points")).split()) for line in lines] == [6, 6, 6, 6]


def test_whatever_is_written_on_a_chart_is_text(desk: Desk) -> None:
    desk.files.write("t.csv", '"a<b>",n\n"<script>alert(1)</script>",-3\n"x&y",5\n')
    title = '</text><script>alert("x")</script>'

    desk.call("chart", table="t", x="a<b>", y="n", title=title, name="evil")

    root = ET.fromstring(desk.files.read("evil.svg"))
    assert list(root.iter(f"{SVG}script")) == []
    texts = [element.text for element in root.iter(f"{SVG}text")]
    assert title in texts and "<script>alert(1)</script>" in texts


@pytest.mark.parametrize(
    ("tool", "arguments", "named"),
    [
        ("load", {"file": "../README.md"}, "sales.csv"),
        ("load", {"file": "tools.py"}, "sales.csv"),
        ("filter", {"table": "x", "column": "a", "operator": "=", "value": "1", "into": "y"},
         "sales"),
        ("filter", {"table": "sales", "column": "regoin", "operator": "=", "value": "N",
                    "into": "y"}, "region"),
        ("filter", {"table": "sales", "column": "region", "operator": "=", "value": "Nord",
                    "into": "y"}, "East, North"),
        ("filter", {"table": "sales", "column": "region", "operator": "~", "value": "N",
                    "into": "y"}, "operator"),
        ("aggregate", {"table": "sales", "by": [], "of": "units", "measure": "sum", "into": "y"},
         "'by'"),
        ("aggregate", {"table": "sales", "by": ["region"], "of": "product", "measure": "sum",
                       "into": "y"}, "'product'"),
        ("chart", {"table": "sales", "x": "nope", "y": "units", "title": "t", "name": "n"},
         "region"),
    ],
)  # fmt: skip
def test_an_error_names_the_existing_values(
    desk: Desk, tool: str, arguments: dict[str, Any], named: str
) -> None:
    with pytest.raises(ToolError) as raised:
        desk.call(tool, **arguments)
    assert named in raised.value.message


def test_before_load_the_tools_say_so() -> None:
    with pytest.raises(ToolError):
        Desk().call("aggregate", table="sales", by=["x"], of="y", measure="sum", into="z")


def test_the_surroundings_of_a_call_are_hidden_from_the_model() -> None:
    for name in ("load", "filter", "aggregate", "chart"):
        schema = REGISTRY.tool(name).schema
        assert "context" not in str(schema), name
        assert schema["name"] == name and schema.get("description")
