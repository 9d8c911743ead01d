"""A run with scripted answers is marked in every resource."""

from collections.abc import Mapping, Sequence
from typing import Any

from tests.support.api import serve, world

from teamrun.models.wrapper import ModelWrapper
from teamrun.testing import ScriptedModel


class Real(ModelWrapper):
    """Acts as a model: wraps a script without reporting it."""

    @property
    def is_scripted(self) -> bool:
        return False


def test_run_result_event_and_fork_say_that_a_script_has_answered() -> None:
    async def scenario() -> None:
        async with world() as w:
            run_id = await w.submit()
            assert (await w.client.get(f"/v1/runs/{run_id}")).json()["scripted"] is False
            await w.execute()

            run = (await w.client.get(f"/v1/runs/{run_id}")).json()
            result = (await w.client.get(f"/v1/runs/{run_id}/result")).json()
            events = (await w.client.get(f"/v1/runs/{run_id}/events")).json()["data"]
            last = events[-1]["seq"] - 1
            fork = (await w.client.post(f"/v1/runs/{run_id}/fork", json={"after_seq": last})).json()

        assert (run["scripted"], result["scripted"], fork["scripted"]) == (True, True, True)
        assert answers(events) == [True] * 4

    serve(scenario())


def test_a_run_that_a_model_has_answered_does_not() -> None:
    async def scenario() -> None:
        async with world(model=Real(ScriptedModel(["DONE"]))) as w:
            run_id = await w.ended()
            run = (await w.client.get(f"/v1/runs/{run_id}")).json()
            events = (await w.client.get(f"/v1/runs/{run_id}/events")).json()["data"]

        assert (run["status"], run["scripted"]) == ("completed", False)
        assert answers(events) == [None]

    serve(scenario())


def test_teams_show_which_profile_a_script_answers() -> None:
    async def scenario() -> None:
        async with world() as w:
            (team,) = (await w.client.get("/v1/teams")).json()["data"]
        (use,) = team["models"]
        assert (use["profile"], use["scripted"], use["unset"]) == ("default", True, None)

    serve(scenario())


def answers(events: Sequence[Mapping[str, Any]]) -> list[Any]:
    return [
        event["data"].get("scripted") for event in events if event["type"] == "model.call.completed"
    ]
