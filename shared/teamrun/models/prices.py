"""Prices of known models; an operator's prices take precedence.

US dollars per million tokens. Providers change their prices: the table is a starting point, and a
model that is not in it has no cost rather than a wrong one.
"""

from decimal import Decimal
from typing import NamedTuple

from teamrun.messages.llm import RequestUsage

__all__ = ["PRICES", "Price", "price_of"]

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
}
"""By the name of the model; a dated name (`gpt-4o-2024-11-20`) has the price of its family."""


def price_of(model: str | None) -> Price | None:
    """The price of a model, if it is known."""
    if model is None:
        return None
    known = [name for name in PRICES if model == name or model.startswith(f"{name}-20")]
    return PRICES[known[0]] if known else None
