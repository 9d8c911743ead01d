"""Built-in prices."""

from datetime import date
from decimal import Decimal

import pytest

from teamrun.messages.llm import RequestUsage
from teamrun.models.bedrock.traits import traits_of
from teamrun.models.prices import (
    ANTHROPIC_PRICES_OF,
    BEDROCK_PRICES,
    BEDROCK_PRICES_OF,
    OPENAI_PRICES_OF,
    PRICES,
    price_of,
)

MILLION = RequestUsage(1_000_000, 1_000_000, cached_tokens=500_000)


def test_a_dated_model_has_the_price_of_its_family() -> None:
    assert price_of("gpt-4o-2024-11-20") == price_of("gpt-4o")
    assert price_of("gpt-4o-mini") != price_of("gpt-4o")
    assert price_of("gpt-4o-audio") is None
    assert price_of(None) is None


def test_the_prices_of_openai_are_those_of_their_day() -> None:
    assert date(2026, 11, 30) == OPENAI_PRICES_OF, "compare every row again before the day changes"
    known = {
        "gpt-4o": (2.5, 10, 1.25),
        "gpt-4o-mini": (0.15, 0.6, 0.075),
        "gpt-4.1": (2, 8, 0.5),
        "gpt-4.1-mini": (0.4, 1.6, 0.1),
        "gpt-4.1-nano": (0.1, 0.4, 0.025),
        "o3": (2, 8, 0.5),
        "o4-mini": (1.1, 4.4, 0.275),
        "gpt-5": (1.25, 10, 0.125),
        "gpt-5-mini": (0.25, 2, 0.025),
        "gpt-5-nano": (0.05, 0.4, 0.005),
    }
    for name, price in known.items():
        found = PRICES[name]
        cached = found.cached_input
        assert (found.input, found.output, cached) == tuple(Decimal(str(each)) for each in price), (
            name
        )


def test_cached_tokens_cost_less() -> None:
    price = price_of("gpt-4o")
    assert price is not None
    fresh = price.cost(RequestUsage(prompt_tokens=1_000_000, completion_tokens=0))
    cached = price.cost(
        RequestUsage(prompt_tokens=1_000_000, completion_tokens=0, cached_tokens=1_000_000)
    )
    assert (fresh, cached) == (Decimal("2.50"), Decimal("1.25"))


@pytest.mark.parametrize(
    ("model", "cost"),
    [
        ("claude-sonnet-5", "11.1"),
        ("claude-sonnet-5-5", "11.05"),
        ("claude-sonnet-4-5-20250929", "16.65"),
        ("claude-opus-4-1-20250805", "83.25"),
        ("claude-opus-5-5", "22.1"),
        ("claude-haiku-4-5", "5.55"),
    ],
)
def test_models_of_anthropic(model: str, cost: str) -> None:
    expected = date(2026, 11, 30)
    assert expected == ANTHROPIC_PRICES_OF, "compare every row again before the day changes"
    price = price_of(model)
    assert price is not None
    assert price.cost(MILLION) == Decimal(cost)
    assert price_of("claude-haiku-5-5") is None  # it depends on the length of the prompt


@pytest.mark.parametrize(
    ("model", "cost"),
    [
        ("us.amazon.nova-lite-v1:0", "0.2775"),
        ("global.amazon.nova-2-lite-v1:0", "2.6875"),
        ("us.anthropic.claude-3-haiku-20240307-v1:0", "1.5"),
        ("us.anthropic.claude-sonnet-4-20250514-v1:0", "16.65"),
        ("global.anthropic.claude-sonnet-4-5-20250929-v1:0", "16.65"),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "18.315"),
        ("us.anthropic.claude-opus-4-1-20250805-v1:0", "83.25"),
        ("us.anthropic.claude-opus-4-6-v1", "30.525"),
    ],
)
def test_models_of_bedrock_have_the_prices_of_their_geography(model: str, cost: str) -> None:
    assert date(2026, 11, 29) == BEDROCK_PRICES_OF, "compare every row again before the day changes"
    price = price_of(model)
    assert price is not None
    assert price.cost(MILLION) == Decimal(cost)


@pytest.mark.parametrize(
    "model",
    [
        "anthropic.claude-3-haiku-20240307-v1:0",  # the price of its region
        "eu.amazon.nova-lite-v1:0",
        "us-gov.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "us.anthropic.claude-sonnet-9-v1:0",
        "abcdef123456",
        "",
    ],
)
def test_a_model_of_bedrock_whose_price_is_not_known_has_none(model: str) -> None:
    assert price_of(model) is None


def test_every_price_of_bedrock_is_that_of_a_known_model() -> None:
    assert all(traits_of(model) for model in BEDROCK_PRICES)
    for model in BEDROCK_PRICES:  # no row hides another
        assert [other for other in BEDROCK_PRICES if model.startswith(other)] == [model]
