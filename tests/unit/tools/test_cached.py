"""Cached results of tools: which calls are made, and which tools may have a cache."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from teamrun.components.building.tools import ToolTable
from teamrun.components.definitions.tools import ToolEntry
from teamrun.errors import DefinitionError, ToolError, UsageError
from teamrun.tools import FunctionTool, Tool, ToolContext
from teamrun.tools.cached import CachedTool, ResultCache


class Rates:
    """A tool that counts its calls."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.now = 0.0

    def tool(self, version: str = "", cache: ResultCache | None = None) -> CachedTool:
        cache = cache or ResultCache(clock=lambda: self.now)
        return CachedTool(FunctionTool(self.rate, "A rate.", name="rate"), cache, version=version)

    async def rate(self, currency: str, days: int = 0) -> dict[str, Any]:
        self.asked.append(f"{currency}{days}")
        if currency == "none":
            raise ToolError("There is no such currency.")
        return {"currency": currency, "text": "x" * days}


@pytest.mark.behaviour("tool.caching")
async def test_the_same_arguments_in_any_order_get_the_first_result() -> None:
    rates = Rates()
    tool = rates.tool()

    first = await tool.run_json({"currency": "eur", "days": 1})
    again = await tool.run_json({"days": 1, "currency": "eur"})
    await tool.run_json({"currency": "usd", "days": 1})

    assert first == again == "{'currency': 'eur', 'text': 'x'}"
    assert tool.return_value_as_string(first) == first
    assert rates.asked == ["eur1", "usd1"]


@pytest.mark.behaviour("tool.caching")
async def test_tenants_and_versions_share_no_results() -> None:
    rates = Rates()
    cache = ResultCache()

    for tenant in ("a", "b", "a"):
        await rates.tool(cache=cache).run_json({"currency": "eur"}, context=of(tenant))
    await rates.tool("2", cache).run_json({"currency": "eur"}, context=of("a"))

    assert rates.asked == ["eur0"] * 3


def of(tenant: str) -> ToolContext:
    return ToolContext(tenant=tenant)


async def test_failures_and_long_results_are_not_kept() -> None:
    rates = Rates()
    tool = rates.tool()

    for _ in range(2):
        with pytest.raises(ToolError, match="no such currency"):
            await tool.run_json({"currency": "none"})
        await tool.run_json({"currency": "eur", "days": 70_000})

    assert len(rates.asked) == 4


async def test_a_result_is_kept_for_an_hour_and_the_least_used_goes_first() -> None:
    rates = Rates()
    tool = rates.tool()

    async def ask(currency: str) -> None:
        await tool.run_json({"currency": currency})

    await ask("eur")
    rates.now = 3599
    await ask("eur")
    rates.now = 3600
    await ask("eur")
    assert rates.asked == ["eur0", "eur0"]

    for number in range(999):
        await ask(f"c{number}")
    await ask("eur")
    await ask("new")  # drops c0
    await ask("eur")
    await ask("c0")
    assert rates.asked[-2:] == ["new0", "c00"]


def plain(number: int) -> int:
    return number


def with_context(context: ToolContext) -> str:
    return context.call_id


@pytest.mark.behaviour("tool.caching")
@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: FunctionTool(with_context, "C."), "takes a ToolContext"),
        (lambda: FunctionTool(plain, "S.", effects="write"), "has effects: 'write'"),
        (lambda: FunctionTool(plain, "S.", session="stateful"), "needs a session"),
    ],
)
def test_a_tool_with_effects_or_memory_has_no_cache(make: Callable[[], Tool], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        CachedTool(make(), ResultCache())


@pytest.mark.behaviour("config.tools.cache")
def test_a_table_makes_a_cached_tool_and_names_the_place_of_a_wrong_one(tmp_path: Path) -> None:
    module = f"cached_{tmp_path.name}"
    source = "def plain(n: int) -> int:\n    'Plain.'\n    return n\n\n\n"
    source += "from teamrun.tools import ToolContext\n\n\n"
    source += "def keeps(c: ToolContext) -> str:\n    'Keeps.'\n    return ''\n"
    (tmp_path / f"{module}.py").write_text(source, encoding="utf-8")
    entries = [
        ToolEntry(
            name=name, function=f"{module}:{name}", cache_results=True, where=f"/tools/{name}"
        )
        for name in ("plain", "keeps")
    ]
    table = ToolTable(entries, folder=tmp_path)

    assert isinstance(table.get("plain"), CachedTool)
    assert table.get("plain") is table.get("plain")
    assert table.digest("plain") != ToolTable([entries[0]._replace(cache_results=False)]).digest(
        "plain"
    )
    with pytest.raises(DefinitionError, match="takes a ToolContext") as refused:
        table.get("keeps")
    assert refused.value.pointer == "/tools/keeps/cache_results"
