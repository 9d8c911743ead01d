"""AutoGen component JSON over HTTP: a run that works, or an error with its place and a remedy.

Nothing of it is imported, executed, read from the environment or called.
"""

import json
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.support.api import World, world
from tests.support.model_server import ModelServer
from tests.support.team_cases import progress
from tests.unit.api.component_cases import AWAY, BODIES, CASES, HOSTILE, SECRET, Case, submitted
from tests.unit.component.agent_examples import EXAMPLES
from tests.unit.component.examples import look_up

from teamrun.code import CodeExecutionTool, LocalCommandLineCodeExecutor
from teamrun.components.registry import Registry
from teamrun.models import ChatCompletionClient, OpenAIChatCompletionClient
from teamrun.storage.memory import MemoryStore
from teamrun.testing import ScriptedModel
from teamrun.tools import FunctionTool

Json = dict[str, Any]

ANSWER = json.dumps({"figure": 1, **json.loads(progress("a", "Go on.", done=True))})
"""An answer for all: with a field of the examples' form, and a ledger of Magentic-One."""
KEY = "sk-of-the-operator"
VALUE = "sesame"

ADDED = {
    "AssistantAgent": {"source_code": "the registered tool"},
    "FunctionTool": {"source_code": "the registered tool"},
    "CodeExecutorAgent": {"code_executor": "'run_code' executes the code"},
    "LocalCommandLineCodeExecutor": {"code_executor": "'run_code' executes the code"},
    "OpenAIChatCompletionClient": dict.fromkeys(
        ("base_url", "max_completion_tokens", "organization", "temperature", "timeout"),
        "decides it",
    ),
    "AzureOpenAIChatCompletionClient": dict.fromkeys(
        ("api_version", "azure_deployment", "azure_endpoint"), "decides it"
    ),
    "AnthropicChatCompletionClient": {"stop_sequences": "decides it"},
    "BedrockChatCompletionClient": dict.fromkeys(
        ("max_tokens", "prompt_caching", "region"), "decides it"
    ),
    "OllamaChatCompletionClient": dict.fromkeys(("host", "num_ctx"), "decides it"),
}
"""The warnings of the examples: a part of the text, by the last part of the place."""
REFUSED = {
    "ReplayChatCompletionClient": "the name of a scripted model profile",
    "StaticWorkbench": "register the tool under the other name",
}
"""The remedies for the examples that are refused."""


@asynccontextmanager
async def operator(server: ModelServer | None = None) -> AsyncGenerator[World, None]:
    """An API whose operator has two models and two tools."""
    models: dict[str, ChatCompletionClient] = {
        "gpt-4o": ScriptedModel([ANSWER] * 500),
        "amazon.nova-lite-v1:0": ScriptedModel([ANSWER] * 9),
        "claude-sonnet-5": ScriptedModel([ANSWER] * 9),
        "deepseek-r1": ScriptedModel([ANSWER] * 9),
    }
    if server is not None:
        models["real"] = OpenAIChatCompletionClient("m", api_key=KEY, base_url=server.base_url)
    tools = [FunctionTool(look_up, "Look up."), CodeExecutionTool(LocalCommandLineCodeExecutor())]
    registry = Registry.of(teams={}, models=models, tools=tools)
    async with world(registry=registry) as w:
        yield w
    for each in models.values():
        await each.close()


async def validated(w: World, spec: Json) -> Json:
    answer = await w.client.post("/v1/teams:validate", json={"team_spec": spec})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def played(w: World, spec: Json, number: int) -> str:
    """How a run of the component ends; of two, one is stored as a team before."""
    team: Json = {"team": None, "team_spec": spec}
    if number % 2:
        made = await w.client.post(f"/v1/teams?name=t{number}", json=spec)
        assert made.status_code == 201, made.text
        team = {"team": f"t{number}"}
    run_id = await w.ended(**team)
    return (await w.client.get(f"/v1/runs/{run_id}")).json()["status"]


async def test_each_class_of_component_runs_or_is_refused_with_a_remedy() -> None:
    found: Json = {}
    async with operator() as w:
        for number, example in enumerate(EXAMPLES):
            spec = submitted(example.written)
            checked = await validated(w, spec)
            warned = {
                each["pointer"].split("/")[-1]: each["detail"] for each in checked["warnings"]
            }
            expected = ADDED.get(example.name, {})
            if not checked["valid"]:
                [error] = checked["errors"]
                is_good = REFUSED.get(example.name, "?") in error["detail"]
            else:
                ended = await played(w, spec, number)
                wanted = "input_required" if example.name == "UserProxyAgent" else "completed"
                is_good = ended == wanted and warned.keys() == expected.keys()
                is_good = is_good and all(text in warned[key] for key, text in expected.items())
                found |= {} if is_good else {example.name: (ended, warned)}
            found |= {} if is_good or example.name in found else {example.name: checked}
    assert found == {}


async def problem_of(w: World, case: Case, number: int) -> Json | None:
    """What differs from what is expected of a case."""
    checked = await validated(w, case.spec)
    warned = {each["pointer"]: each["detail"] for each in checked["warnings"]}
    if case.code is None:
        ended = await played(w, case.spec, number)
        wanted = "input_required" if "asks" in case.id else "completed"
        is_same = warned.keys() == {f"/team_spec{place}" for place in case.warns}
        is_told = is_same and all(t in warned[f"/team_spec{p}"] for p, t in case.warns.items())
        return None if is_told and ended == wanted else {"ended": ended, **checked}
    sent = {
        "": await w.client.post("/v1/teams?name=t", json=case.spec),
        "/team_spec": await w.client.post("/v1/runs", json={"team_spec": case.spec, "input": "Go"}),
    }
    errors = {root: answer.json()["errors"] for root, answer in sent.items()}
    errors["/team_spec "] = checked["errors"]
    for root, told in errors.items():
        first: Json = told[0] if told else {}
        wanted = (case.code, root.strip() + case.pointer)
        if len(told) != 1 or (first["code"], first["pointer"]) != wanted:
            return errors
        if case.says not in first["detail"]:
            return errors
    return None if {answer.status_code for answer in sent.values()} == {422} else errors


async def test_an_odd_component_runs_or_is_refused_with_a_remedy_and_nothing_of_it_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / f"{HOSTILE}.py").write_text(
        f"import pathlib\npathlib.Path({str(tmp_path / 'was here')!r}).touch()\n", encoding="utf-8"
    )
    monkeypatch.setattr("sys.path", [str(tmp_path), *sys.path])
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv(SECRET, VALUE)
    found: Json = {}
    async with ModelServer() as ours, ModelServer() as away, operator(ours) as w:
        for number, case in enumerate(CASES):
            text = json.dumps(case.spec).replace(AWAY, away.address)
            moved = Case(case.id, json.loads(text), case.code, case.pointer, case.says, case.warns)
            if (problem := await problem_of(w, moved, number)) is not None:
                found[case.id] = problem
        assert found == {}
        keys = {request["headers"].get("authorization") for request in ours.requests}
        assert (keys, away.requests, away.connections) == ({f"Bearer {KEY}"}, [], 0)
        assert isinstance(w.store, MemoryStore)
        stored = [await w.store.get(key) for key in await w.store.list("")]
    assert not (tmp_path / "was here").exists()
    for secret in (KEY, VALUE, "sk-theirs"):
        assert not any(secret.encode() in data for data in stored)


@pytest.mark.parametrize("path", ["/v1/teams:validate", "/v1/teams", "/v1/runs"])
async def test_a_body_that_is_not_read_is_refused_with_a_remedy(path: str) -> None:
    async with operator() as w:
        for body in BODIES.values():
            headers = {"Content-Type": "application/json"}
            answer = await w.client.post(path, content=body, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (400, "invalid_json"), answer.text
            assert answer.json()["detail"].endswith(".")
