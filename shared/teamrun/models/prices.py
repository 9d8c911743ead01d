"""Prices of known models; an operator's prices take precedence.

US dollars per million tokens at the standard tier. Providers change their prices: the tables are a
starting point, and a model that is in none has no cost rather than a wrong one.
"""

from datetime import date
from decimal import Decimal
from typing import NamedTuple

from teamrun.messages.llm import RequestUsage

__all__ = [
    "ANTHROPIC_PRICES_OF",
    "BEDROCK_PRICES",
    "BEDROCK_PRICES_OF",
    "OPENAI_PRICES_OF",
    "PRICES",
    "Price",
    "price_of",
]

_MILLION = Decimal(1_000_000)


class Price(NamedTuple):
    """US dollars per million tokens."""

    input: Decimal
    output: Decimal
    cached_input: Decimal | None = None
    """Prompt tokens that the provider had in its cache; by default the price of input."""

    def cost(self, usage: RequestUsage) -> Decimal:
        """The cost of a call, in US dollars."""
        cached = self.input if self.cached_input is None else self.cached_input
        fresh = usage.prompt_tokens - usage.cached_tokens
        total = fresh * self.input + usage.cached_tokens * cached
        return (total + usage.completion_tokens * self.output) / _MILLION


def _price(given: str, out: str, cached: str | None = None) -> Price:
    return Price(Decimal(given), Decimal(out), None if cached is None else Decimal(cached))


OPENAI_PRICES_OF = date(2026, 11, 30)
"""The day on which the prices of OpenAI were compared with public lists."""

PRICES: dict[str, Price] = {
    "gpt-4o": _price("2.50", "10.00", "1.25"),
    "gpt-4o-mini": _price("0.15", "0.60", "0.075"),
    "gpt-4.1": _price("2.00", "8.00", "0.50"),
    "gpt-4.1-mini": _price("0.40", "1.60", "0.10"),
    "gpt-4.1-nano": _price("0.10", "0.40", "0.025"),
    "o3": _price("2.00", "8.00", "0.50"),
    "o4-mini": _price("1.10", "4.40", "0.275"),
    "gpt-5": _price("1.25", "10.00", "0.125"),
    "gpt-5-mini": _price("0.25", "2.00", "0.025"),
    "gpt-5-nano": _price("0.05", "0.40", "0.005"),
    "claude-fable-5": _price("10", "50", "1"),
    "claude-fable-5-1": _price("10", "50", "0.25"),
    "claude-opus-5": _price("5", "25", "0.50"),
    "claude-opus-5-5": _price("4", "20", "0.20"),
    "claude-opus-4-8": _price("5", "25", "0.50"),
    "claude-opus-4-7": _price("5", "25", "0.50"),
    "claude-opus-4-6": _price("5", "25", "0.50"),
    "claude-opus-4-5": _price("5", "25", "0.50"),
    "claude-opus-4-1": _price("15", "75", "1.50"),
    "claude-sonnet-5": _price("2", "10", "0.20"),
    "claude-sonnet-5-5": _price("2", "10", "0.10"),
    "claude-sonnet-4-6": _price("3", "15", "0.30"),
    "claude-sonnet-4-5": _price("3", "15", "0.30"),
    "claude-haiku-4-5": _price("1", "5", "0.10"),
}
"""By the name of the model; a dated name (`gpt-4o-2024-11-20`) has the price of its family."""


ANTHROPIC_PRICES_OF = date(2026, 11, 30)
"""The day on which Anthropic's prices were compared with its list
(https://platform.claude.com/docs/en/about-claude/pricing). The price of Claude Haiku 5.5 depends on
the length of the prompt, so it is not in the table."""

BEDROCK_PRICES_OF = date(2026, 11, 29)
"""The day on which the prices of Bedrock were compared with public lists."""

_NOVA_2_LITE = ("0.30", "2.50", "0.075")
_HAIKU_4_5 = ("1", "5", "0.10")
_OPUS_4_5 = ("5", "25", "0.50")
_SONNET = ("3", "15", "0.30")
_OPUS_4 = ("15", "75", "1.50")
_PREMIUM = Decimal("1.1")
"""What a geography costs beside `global`, for the models that have both."""


def _in_both(name: str, *price: str) -> dict[str, Price]:
    parts = [Decimal(part) for part in price]
    return {
        f"global.{name}": Price(*parts),
        f"us.{name}": Price(*(part * _PREMIUM for part in parts)),
    }


BEDROCK_PRICES: dict[str, Price] = {
    "us.amazon.nova-micro-v1": _price("0.035", "0.14", "0.00875"),
    "us.amazon.nova-lite-v1": _price("0.06", "0.24", "0.015"),
    "us.amazon.nova-pro-v1": _price("0.80", "3.20", "0.20"),
    "us.anthropic.claude-3-haiku-": _price("0.25", "1.25"),
    "us.anthropic.claude-3-5-haiku-": _price("0.80", "4", "0.08"),
    "us.anthropic.claude-3-5-sonnet-": _price(*_SONNET),
    "us.anthropic.claude-3-7-sonnet-": _price(*_SONNET),
    "us.anthropic.claude-sonnet-4-2025": _price(*_SONNET),
    "us.anthropic.claude-opus-4-2025": _price(*_OPUS_4),
    "us.anthropic.claude-opus-4-1-": _price(*_OPUS_4),
    **_in_both("amazon.nova-2-lite-v1", *_NOVA_2_LITE),
    **_in_both("anthropic.claude-haiku-4-5", *_HAIKU_4_5),
    **_in_both("anthropic.claude-sonnet-4-5", *_SONNET),
    **_in_both("anthropic.claude-sonnet-4-6", *_SONNET),
    **_in_both("anthropic.claude-opus-4-5", *_OPUS_4_5),
    **_in_both("anthropic.claude-opus-4-6", *_OPUS_4_5),
    **_in_both("anthropic.claude-opus-4-7", *_OPUS_4_5),
}
"""By the beginning of the id. An id without a geography has the price of its region."""


def price_of(model: str | None) -> Price | None:
    """The price of a model, if it is known.

    Args:
        model: Its name, or its id on Bedrock.
    """
    if model is None:
        return None
    known = [name for name in PRICES if model == name or model.startswith(f"{name}-20")]
    if known:
        return PRICES[known[0]]
    return next((BEDROCK_PRICES[id_] for id_ in BEDROCK_PRICES if model.startswith(id_)), None)
