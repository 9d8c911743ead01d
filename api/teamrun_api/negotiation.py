"""Selection of a representation by the `Accept` header (RFC 9110, 12.5.1)."""

from collections.abc import Sequence

from teamrun_api.faults import NotAcceptable

__all__ = ["choose"]


def choose(accept: str | None, offers: Sequence[str]) -> str:
    """The offer with the highest quality in the header; by default the first of `offers`.

    Raises:
        NotAcceptable: It refuses all of them.
    """
    if accept is None or not accept.strip():
        return offers[0]
    ranges = [_range_of(item) for item in accept.split(",")]
    best = max(offers, key=lambda offer: _quality(offer, ranges))
    if _quality(best, ranges) <= 0:
        raise NotAcceptable(f"Accept is {accept[:200]!r}; send one of {', '.join(offers)}.")
    return best


def _range_of(item: str) -> tuple[str, float]:
    media_range, *parameters = (part.strip().lower() for part in item.split(";"))
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            return media_range, _weight(value)
    return media_range, 1.0


def _weight(text: str) -> float:
    try:
        return min(max(float(text), 0.0), 1.0)
    except ValueError:
        return 0.0


def _quality(offer: str, ranges: list[tuple[str, float]]) -> float:
    """The weight that the most specific range gives to the offer."""
    weights = dict(ranges)
    for media_range in (offer, f"{offer.partition('/')[0]}/*", "*/*"):
        if media_range in weights:
            return weights[media_range]
    return 0.0
