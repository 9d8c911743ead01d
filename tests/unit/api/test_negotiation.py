from dataclasses import dataclass

import pytest

from teamrun_api.faults import NotAcceptable
from teamrun_api.negotiation import choose

OFFERS = ("application/json", "application/x-ndjson", "text/event-stream")


@dataclass(frozen=True)
class Case:
    id: str
    header: str | None
    chosen: str


CASES = [
    Case("absent", None, "application/json"),
    Case("empty", " ", "application/json"),
    Case("anything", "*/*", "application/json"),
    Case("a stream", "text/event-stream", "text/event-stream"),
    Case("a kind", "text/*", "text/event-stream"),
    Case("upper case", "Text/Event-Stream", "text/event-stream"),
    Case("weights", "application/json;q=0.5, application/x-ndjson", "application/x-ndjson"),
    Case("the specific one counts", "*/*, application/json;q=0", "application/x-ndjson"),
    Case("parameters", "text/event-stream; charset=utf-8; q=1", "text/event-stream"),
    Case("a weight that is none", "application/json;q=x, text/event-stream", "text/event-stream"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_the_best_liked_offer_is_chosen(case: Case) -> None:
    assert choose(case.header, OFFERS) == case.chosen


@pytest.mark.parametrize("header", ["text/html", "application/json;q=0", "nonsense"])
def test_nothing_is_chosen_where_all_offers_are_refused(header: str) -> None:
    with pytest.raises(NotAcceptable):
        choose(header, OFFERS)
