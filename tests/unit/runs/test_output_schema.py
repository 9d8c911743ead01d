"""Runs with an `output_schema`: what the output is, which model writes it, and what it costs."""

from datetime import timedelta
from typing import Any

import pytest
from tests.support.runs import TENANT, Cluster, duo, solo

from teamrun.components.registry import Registry
from teamrun.core.refs import RunRef
from teamrun.errors import DefinitionError, IdempotencyConflict
from teamrun.models.base import ModelInfo
from teamrun.runs.log.keys import snapshot_key
from teamrun.runs.log.limits import Limits
from teamrun.runs.service.requests import Answer, ForkRequest, RetryRequest, RunRequest
from teamrun.runs.service.resources import Run
from teamrun.testing import ScriptedModel
from teamrun.threads.requests import ThreadRequest

SCHEMA: dict[str, Any] = {
    "title": "Sales",
    "type": "object",
    "properties": {"region": {"type": "string"}, "sold": {"type": "integer", "minimum": 0}},
    "required": ["region", "sold"],
}
GOOD = '{"region": "North", "sold": 3}'
DATA = {"region": "North", "sold": 3}
ONE = {**solo(), "max_turns": 1}
ANSWERS = {"a": ["North sold three."]}


async def executed(cluster: Cluster, **request: Any) -> Run:
    ref = await cluster.submit("go", **{"output_schema": SCHEMA, **request})
    await cluster.worker().execute(ref)
    return await cluster.service.get(TENANT, ref.run_id)


def recording(script: dict[str, list[Any]], **info: Any) -> ScriptedModel:
    able: dict[str, Any] = {**ScriptedModel([]).model_info, **info}
    return ScriptedModel(script, record=True, model_info=ModelInfo(**able))


@pytest.mark.parametrize("answer", [GOOD, f"```json\n{GOOD}\n```", {"content": DATA}])
async def test_an_answer_that_fits_is_parsed_without_another_call(answer: Any) -> None:
    run = await executed(Cluster({"a": [answer]}, team=ONE))
    assert (run.status, run.stop_code, run.usage.model_calls) == ("completed", "max_turns", 1)
    assert run.output is not None and run.output.data == DATA


async def test_another_answer_is_written_again_by_the_model_of_the_agent_that_spoke_last() -> None:
    models = {name: recording({"output-schema": [GOOD], **ANSWERS}) for name in ("m", "n", "s")}
    team = duo(1)
    team["participants"][0]["model"] = "n"
    cluster = Cluster({}, team=team, registry=Registry.of(teams={"team": team}, models=models))
    run = await executed(cluster)
    assert run.output is not None
    assert (run.output.text, run.output.data, run.output.problems) == (GOOD, DATA, [])
    assert [len(models[name].calls) for name in ("m", "n", "s")] == [0, 2, 0]
    said = models["n"].calls[1]
    assert said.agent == "output-schema"
    assert isinstance(said.json_output, type)
    assert said.json_output.__name__ == "Sales"
    assert said.json_output.model_json_schema() == SCHEMA
    assert "user: go\n\na: North sold three." in str(said.messages[-1].content)
    assert set(run.usage.by_agent) == {"a", "output-schema"}


@pytest.mark.parametrize("override", [{}, {"overrides": {"model": "n"}}])
async def test_the_definition_names_the_model_of_the_form(override: dict[str, Any]) -> None:
    models = {name: recording({"output-schema": [GOOD], **ANSWERS}) for name in ("m", "n", "s")}
    team = {**ONE, "output_model": "s"}
    cluster = Cluster({}, team=team, registry=Registry.of(teams={"team": team}, models=models))
    run = await executed(cluster, **override)
    assert run.status == "completed"
    assert [len(models[name].calls) for name in "mns"] == ([0, 2, 0] if override else [1, 0, 1])


async def test_without_function_calling_the_model_is_instructed() -> None:
    model = recording(
        {**ANSWERS, "output-schema": [GOOD]},
        structured_output=False,
        function_calling=False,
        json_output=False,
    )
    run = await executed(Cluster({}, team=ONE, model=model))
    assert run.output is not None and run.output.data == DATA
    said = model.calls[1]
    assert (said.json_output, said.tools) == (None, ())
    assert '"required": ["region", "sold"]' in str(said.messages[1].content)


async def test_a_model_without_a_mode_of_its_own_is_forced_to_call_a_tool() -> None:
    call = {"name": "structured_answer", "arguments": DATA}
    model = recording(
        {**ANSWERS, "output-schema": [{"tool_calls": [call]}]}, structured_output=False
    )
    run = await executed(Cluster({}, team=ONE, model=model))
    assert run.output is not None and run.output.data == DATA
    said = model.calls[1]
    assert said.json_output is None
    assert said.tool_choice == said.tools[0]
    assert said.tools[0].get("parameters") == SCHEMA


async def test_what_does_not_fit_is_repaired_and_each_repair_is_a_call() -> None:
    script = {**ANSWERS, "output-schema": ['{"sold": -1}', "Sorry", GOOD]}
    model = recording(script)
    run = await executed(Cluster({}, team=ONE, model=model))
    assert run.output is not None and run.output.data == DATA
    assert run.usage.model_calls == 4
    repair = str(model.calls[2].messages[-1].content)
    assert "- The answer: 'region' is a required property." in repair
    assert "- /sold: -1 is less than the minimum of 0." in repair
    assert model.calls[2].messages[-2].content == '{"sold": -1}'
    assert "It is not JSON" in str(model.calls[3].messages[-1].content)


@pytest.mark.parametrize("repairs", [None, 0, 1])
async def test_a_run_whose_output_never_fits_is_incomplete(repairs: int | None) -> None:
    team = ONE if repairs is None else {**ONE, "output_repairs": repairs}
    answers = [f'{{"region": "{n}"}}' for n in range(5)]
    run = await executed(Cluster({**ANSWERS, "output-schema": answers}, team=team))
    assert (run.status, run.stop_code) == ("incomplete", "output_schema")
    assert run.stop_reason == (
        "The output does not fit output_schema: The answer: 'sold' is a required property."
    )
    made = 1 + (2 if repairs is None else repairs)
    assert run.usage.model_calls == 1 + made
    assert run.output is not None
    assert run.output.model_dump(by_alias=True) == {
        "text": answers[made - 1],
        "json": None,
        "problems": [{"pointer": "", "detail": "'sold' is a required property."}],
    }


async def test_a_team_without_a_model_is_only_validated() -> None:
    team = {**ONE, "participants": [{"type": "user_proxy_agent", "name": "a"}]}
    cluster = Cluster({}, team=team)
    ref = await cluster.submit(output_schema=SCHEMA)
    await cluster.worker().execute(ref)
    [action] = (await cluster.service.get(TENANT, ref.run_id)).required_actions
    await cluster.service.answer(TENANT, ref.run_id, Answer(action_id=action.id, content="Three"))
    await cluster.worker("w2").execute(ref)
    run = await cluster.service.get(TENANT, ref.run_id)
    assert (run.status, run.stop_code, run.usage.model_calls) == ("incomplete", "output_schema", 0)
    assert run.output is not None and run.output.text == "Three"


async def test_repairs_count_against_the_limits_of_the_run() -> None:
    script = {**ANSWERS, "output-schema": ["no", GOOD]}
    run = await executed(Cluster(script, team=ONE), limits={"max_model_calls": 2})
    assert (run.status, run.stop_code) == ("incomplete", "max_model_calls")
    assert run.output is not None and run.output.text == "North sold three."


async def test_a_failed_call_of_the_form_is_retried_as_any_other() -> None:
    overloaded = {"error": {"message": "overloaded", "status_code": 529, "retryable": True}}
    cluster = Cluster({**ANSWERS, "output-schema": [overloaded]}, team=ONE)
    well = ScriptedModel({**ANSWERS, "output-schema": [GOOD]})
    healed = Registry.of(teams={"team": ONE}, models={"m": well})
    retry = {"max_attempts": 2, "backoff_seconds": 0}
    ref = await cluster.submit(output_schema=SCHEMA, retry=retry)
    await cluster.worker().execute(ref)
    cluster.clock.shift += timedelta(minutes=3)
    await cluster.worker("w2", registry=healed).execute(ref)
    run = await cluster.service.get(TENANT, ref.run_id)
    assert (run.status, run.attempt) == ("completed", 2)
    assert run.output is not None and run.output.data == DATA


async def test_the_output_of_named_agents_is_the_one_that_has_to_fit() -> None:
    team = {**duo(2), "output": ["a"]}
    run = await executed(Cluster({"a": [GOOD], "b": ["APPROVE"]}, team=team))
    assert run.output is not None and run.output.data == DATA
    assert run.usage.model_calls == 2


async def test_a_thread_continues_after_an_output_that_did_not_fit() -> None:
    model = ScriptedModel({"a": ["one"], "output-schema": ["no"] * 3}, record=True)
    cluster = Cluster({}, team=ONE, model=model)
    thread = (await cluster.threads.create(TENANT, ThreadRequest())).thread
    first = await executed(cluster, thread_id=thread.id)
    second = await executed(cluster, thread_id=thread.id, output_schema=None)
    assert (first.stop_code, second.status) == ("output_schema", "completed")
    assert [each.content for each in model.calls[-1].messages[1:]] == ["go", "one", "go"]


async def test_a_run_that_continues_from_a_snapshot_shows_the_whole_conversation() -> None:
    said = {name: [f"{name}{n}" for n in range(35)] for name in "ab"}
    model = ScriptedModel({**said, "output-schema": ["no", GOOD]}, record=True)
    cluster = Cluster({}, team=duo(70), model=model)
    limits = {"max_model_calls": 71, "on_limit": "pause"}
    ref = await cluster.submit(output_schema=SCHEMA, limits=limits)
    await cluster.worker().execute(ref)
    made = len(model.calls)
    assert await cluster.store.get(snapshot_key(ref))
    await cluster.service.resume(TENANT, ref.run_id, limits=Limits(max_model_calls=72))

    await cluster.worker("w2").execute(ref)

    run = await cluster.service.get(TENANT, ref.run_id)
    assert run.output is not None and run.output.data == DATA
    [again] = model.calls[made:]
    shown = str(again.messages[1].content)
    assert shown.startswith("The conversation:\n\nuser: go\n\na: a0\n\nb: b0\n\n")
    assert "\n\nb: b34\n\n" in shown


async def test_a_fork_and_a_retry_have_the_schema_of_their_parent() -> None:
    cluster = Cluster({**ANSWERS, "output-schema": ["no", "no", "no", GOOD]}, team=ONE)
    parent = await executed(cluster)
    assert parent.status == "incomplete"
    retry = await cluster.service.retry(TENANT, parent.id, RetryRequest())
    fork = await cluster.service.fork(TENANT, parent.id, ForkRequest(after_seq=1))
    for child in (retry.run, fork.run):
        await cluster.worker().execute(RunRef(TENANT, child.id))
        run = await cluster.service.get(TENANT, child.id)
        assert (run.stop_code, run.parent_run_id) == ("output_schema", parent.id)


async def test_a_bad_schema_is_refused_and_a_repeated_request_is_not() -> None:
    cluster = Cluster({"a": [GOOD]}, team=ONE)
    bad = {"type": "object", "properties": {"a": {"$ref": "https://example.com/a"}}}
    with pytest.raises(DefinitionError) as raised:
        await cluster.submit(output_schema=bad)
    assert raised.value.pointer == "/output_schema/properties/a/$ref"

    def request(**more: Any) -> RunRequest:
        return RunRequest.model_validate({"team": "team", "input": "go", **more})

    submit = cluster.service.submit
    first = await submit(TENANT, request(output_schema=SCHEMA), idempotency_key="k")
    again = await submit(TENANT, request(output_schema=SCHEMA), idempotency_key="k")
    assert (again.run.id, again.replayed) == (first.run.id, True)
    with pytest.raises(IdempotencyConflict):
        await submit(TENANT, request(), idempotency_key="k")


async def test_an_agent_that_cannot_answer_in_its_own_form_leaves_the_run_incomplete() -> None:
    team = solo(output_schema=SCHEMA, output_repairs=1)
    cluster = Cluster({"a": ["Three", '{"region": 3, "sold": 1}', GOOD]}, team=team)
    run = await executed(cluster, output_schema=None)
    assert (run.status, run.stop_code, run.usage.model_calls) == ("incomplete", "output_schema", 2)
    assert run.output is not None
    assert run.output.text == '{"region": 3, "sold": 1}'
    assert [each.pointer for each in run.output.problems] == ["/region"]
    types = await cluster.event_types(RunRef(TENANT, run.id))
    assert types.count("model.call.completed") == 2
    assert types[-1] == "run.incomplete"


async def test_an_agent_that_answers_in_the_form_of_the_run_needs_no_further_call() -> None:
    team = {**solo(output_schema=SCHEMA, output_format="{region}"), "max_turns": 1}
    run = await executed(Cluster({"a": ["Three", GOOD]}, team=team))
    assert run.output is not None
    assert (run.output.text, run.output.data) == ("North", DATA)
    assert run.usage.model_calls == 2
