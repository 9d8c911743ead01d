"""Plays all scenarios on a host at once, and disturbs the host at their `yield`s.

`python -m tests.conformance.plays` writes the expected records, as the embedded library makes them
when nothing is disturbed.
"""

import json
import os
import tempfile
from collections.abc import Callable, Collection
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal, cast

from tests.conformance.client import Client
from tests.conformance.hosts import HOSTS, Host
from tests.conformance.records import record_of
from tests.conformance.scenarios import SCENARIOS, WHEN_LOST, Begin, Play, Stage
from tests.conformance.site import API_KEY, Site, open_site

__all__ = ["ALL", "DISTURBANCES", "Disturbance", "Plays", "begun", "expected"]

Json = dict[str, Any]

Disturbance = Literal["none", "lose", "limit"]
DISTURBANCES: tuple[Disturbance, ...] = ("none", "lose", "limit")


ALL = os.environ.get("CONFORMANCE") == "all"
"""Whether every scenario is disturbed in every way, on every host."""
_DISTURBED = (
    "plain",
    "tools",
    "two_tools_at_once",
    "five_calls",
    "person_answers",
    "tool_approved",
    "paused_and_resumed",
    "cancelled_in_a_tool_call",
    "limit_of_model_calls",
    "retried_after_a_failure",
    "webhook",
)
"""The scenarios that are played with disturbances, too. `CONFORMANCE=all` takes all of them, which
lasts four times as long, and loses processes of the clouds; do that after a change of the engine or
of a host."""


def begun(disturbance: Disturbance) -> dict[str, Begin]:
    """The scenarios that are played with a disturbance."""
    if disturbance == "none":
        return SCENARIOS
    chosen = {name: SCENARIOS[name] for name in (SCENARIOS if ALL else _DISTURBED)}
    return {**chosen, **WHEN_LOST} if disturbance == "lose" else chosen


_TIMES = {"none": 0, "lose": 2, "limit": 5}
"""How often a play's host is disturbed, at its first `yield`s."""

_EXPECTED = Path(__file__).with_name("expected")
_AT_ONCE = 12


class Plays:
    """The plays of one host; those with one disturbance are played when a record is asked for."""

    def __init__(self, host: Host, site: Site, *, only: Collection[str] = ()) -> None:
        """Play on a host, by default all scenarios."""
        self._host = host
        self._only = only
        self._stage = Stage(Client(host.url, API_KEY, site.answers), site)
        self._outcomes: dict[str, dict[str, Json | Exception]] = {}

    def close(self) -> None:
        self._stage.client.close()

    def record(self, scenario: str, disturbance: Disturbance) -> Json:
        """What a scenario has come to; raises what it has raised."""
        if disturbance not in self._outcomes:
            self._outcomes[disturbance] = self._play(disturbance)
        outcome = self._outcomes[disturbance][scenario]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def _play(self, disturbance: Disturbance) -> dict[str, Json | Exception]:
        outcomes: dict[str, Json | Exception] = {}
        going = {
            name: begin(self._stage)
            for name, begin in begun(disturbance).items()
            if not self._only or name in self._only
        }
        times = _TIMES[disturbance]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            while going:
                steps = {name: pool.submit(self._step, play) for name, play in going.items()}
                for name, step in steps.items():
                    if (outcome := _outcome(step)) is not None:
                        outcomes[name] = outcome
                        del going[name]
                if going and times:
                    getattr(self._host, disturbance)()
                    times -= 1
        return outcomes

    def _step(self, play: Play) -> Json | None:
        """Go on to the next `yield`, or to the end and the record."""
        try:
            next(play)
        except StopIteration as end:
            made: str | Json = end.value
            return record_of(self._stage.client, made) if isinstance(made, str) else made
        return None


def _outcome(step: "Future[Json | None]") -> Json | Exception | None:
    error = step.exception()
    if error is not None and not isinstance(error, Exception):
        raise error
    return error or step.result()


def expected(scenario: str) -> Json:
    """The record of a scenario, as every host must make it."""
    return json.loads((_EXPECTED / f"{scenario}.json").read_text(encoding="utf-8"))


def _lines(record: Json) -> str:
    """JSON with an event, or a field, on each line."""
    parts = [f"{json.dumps(name)}: {_part(value)}" for name, value in record.items()]
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _part(value: Any) -> str:
    if isinstance(value, list) and value:
        lines = [f"  {json.dumps(each)}" for each in cast("list[Any]", value)]
        return "[\n" + ",\n".join(lines) + "\n]"
    if isinstance(value, dict):
        fields = cast(Json, value).items()
        lines = [f"  {json.dumps(key)}: {json.dumps(each)}" for key, each in fields]
        return "{\n" + ",\n".join(lines) + "\n}"
    return json.dumps(value)


def _write_expected(begin: Callable[[Site], Any]) -> None:
    _EXPECTED.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        open_site(Path(folder)) as site,
        begin(site) as host,
    ):
        plays = Plays(host, site)
        for name in {**SCENARIOS, **WHEN_LOST}:
            text = _lines(plays.record(name, "lose" if name in WHEN_LOST else "none"))
            (_EXPECTED / f"{name}.json").write_text(text, encoding="utf-8")
        plays.close()


if __name__ == "__main__":
    _write_expected(HOSTS["embedded"])
