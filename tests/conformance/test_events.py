"""Each scenario makes the same events, view and result on every host, whatever happens to it."""

import pytest
from tests.conformance.hosts import Host, Limited
from tests.conformance.plays import ALL, DISTURBANCES, Disturbance, Plays, begun, expected

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]


@pytest.mark.parametrize(
    ("disturbance", "scenario"), [(each, name) for each in DISTURBANCES for name in begun(each)]
)
def test_the_record_is_the_same(
    host: Host, plays: Plays, disturbance: Disturbance, scenario: str
) -> None:
    if disturbance == "lose" and isinstance(host, Limited) and not ALL:
        pytest.skip("it takes minutes: CONFORMANCE=all; the folders of the clouds have such tests")
    record, same = plays.record(scenario, disturbance), expected(scenario)

    assert [_line(event) for event in record["events"]] == [_line(e) for e in same["events"]]
    assert record == same


def _line(event: dict[str, object]) -> str:
    return f"{event['type']} {event.get('agent')}"
