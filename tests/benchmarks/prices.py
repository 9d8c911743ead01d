"""What a store charges for requests, as data with its date."""

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["S3", "Prices"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """US dollars for 1,000 requests of each kind."""

    name: str
    as_of: str
    """The date of the price list."""
    by_kind: Mapping[str, float]

    def of(self, requests: Mapping[str, float]) -> float:
        """The price of so many requests, in US dollars."""
        return sum(requests[kind] * price / 1000 for kind, price in self.by_kind.items())


S3 = Prices(
    name="S3 Standard, us-east-1",
    as_of="2025-01-01",
    by_kind={"puts": 0.005, "lists": 0.005, "gets": 0.0004, "deletes": 0.0},
)
"""Source: https://aws.amazon.com/s3/pricing/."""
