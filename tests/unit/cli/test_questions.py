"""Questions of a run at the terminal: prompts, answers and messages."""

import json
import shlex
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from teamrun.cli.questions import ApiPrompter, Attendant
from teamrun.cli.terminal import NoLongerAsked
from teamrun.client import Client

RUN: dict[str, Any] = {
    "id": "run_1",
    "status": "input_required",
    "revision": 3,
    "team": {"name": "t", "digest": "d"},
    "input": "go",
    "created_at": "2026-03-31T08:00:00Z",
}
FORM = {"type": "object", "properties": {"ok": {"type": "boolean"}}}
STALE = httpx2.Response(409, json={"code": "stale_action", "detail": "Somebody was quicker."})
UNFIT = httpx2.Response(422, json={"code": "unfit_answer", "detail": "That does not fit."})


class Scene:
    """A run with one question, and a person who enters some lines."""

    def __init__(self, *lines: str | None, answers: list[httpx2.Response] | None = None) -> None:
        self.lines = list(lines)
        self.answers = answers or []
        self.prompts: list[str] = []
        self.told: list[str] = []
        self.sent: list[dict[str, Any]] = []
        self.actions: list[dict[str, Any]] = []

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        run = RUN | {"required_actions": self.actions}
        if request.method == "GET":
            return httpx2.Response(200, json=run)
        assert request.url.path == "/v1/runs/run_1/input"
        self.sent.append(json.loads(request.content))
        return self.answers.pop(0) if self.answers else httpx2.Response(202, json=run)

    def _line(self, prompt: str, is_open: Callable[[], bool]) -> str | None:
        self.prompts.append(prompt)
        if not self.lines:  # another client answers first
            self.actions = []
            assert not is_open()
            raise NoLongerAsked
        assert is_open()
        return self.lines.pop(0)

    def attend(
        self,
        *,
        type: str = "input",
        schema: dict[str, Any] | None = None,
        terminal: bool = True,
        api_key: str | None = None,
        action_id: str = "t/boss/input:0",
        approves: bool = False,
    ) -> None:
        action = {"id": "t/boss/input:0", "type": type, "prompt": "?", "schema": schema}
        self.actions = [action]
        transport = httpx2.MockTransport(self._answer)
        http = httpx2.Client(transport=transport)
        client = Client("http://127.0.0.1:1", http=http, api_key=api_key)
        line = self._line if terminal else None
        prompter = ApiPrompter(client, "run_1", show=self.told.append)
        Attendant(prompter, read_line=line, show=self.told.append, approves=approves).attend(
            action_id
        )
        assert self.lines == []


def test_a_question_takes_a_line() -> None:
    scene = Scene("go on")

    scene.attend()

    assert scene.sent == [{"action_id": "t/boss/input:0", "content": "go on"}]


@pytest.mark.parametrize("blank", ["", " ", "\t"])
def test_an_accidental_enter_is_no_answer(blank: str) -> None:
    scene = Scene(blank, "go on")

    scene.attend()

    assert scene.sent == [{"action_id": "t/boss/input:0", "content": "go on"}]


def test_an_answer_from_elsewhere_ends_the_question_at_the_terminal() -> None:
    scene = Scene()

    scene.attend()

    assert (len(scene.prompts), scene.sent, len(scene.told)) == (1, [], 1)


def test_only_approvals_are_given_without_asking() -> None:
    approval, question = Scene(), Scene("go on")

    approval.attend(type="approval", approves=True)
    question.attend(approves=True)

    assert [each.get("decision") for each in approval.sent + question.sent] == ["approve", None]
    assert approval.prompts == []


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["y"], {"decision": "approve"}),
        (["perhaps", " YES "], {"decision": "approve"}),
        (["n", "too much"], {"decision": "reject", "content": "too much"}),
        (["Approve"], {"decision": "approve"}),
        (["reject", "too much"], {"decision": "reject", "content": "too much"}),
        (["no", ""], {"decision": "reject"}),
    ],
)
def test_an_approval_takes_yes_or_no_and_nothing_else(
    lines: list[str], said: dict[str, Any]
) -> None:
    scene = Scene(*lines)

    scene.attend(type="approval")

    assert scene.sent == [{"action_id": "t/boss/input:0", **said}]


def test_a_question_with_a_form_takes_json_and_is_asked_again_until_it_fits() -> None:
    scene = Scene("yes", '{"ok": 1}', '{"ok": true}', answers=[UNFIT])

    scene.attend(schema=FORM)

    assert [each["data"] for each in scene.sent] == [{"ok": 1}, {"ok": True}]
    assert "That does not fit." in scene.told
    assert json.dumps(FORM) in scene.told[0]


def test_a_question_that_was_answered_elsewhere_is_not_asked() -> None:
    scene = Scene()

    scene.attend(action_id="t/boss/input:7")

    assert (scene.prompts, scene.sent, scene.told) == ([], [], [])


def test_an_answer_that_is_too_late_is_reported_and_watching_continues() -> None:
    scene = Scene("go on", answers=[STALE])

    scene.attend()

    assert scene.told == ["Somebody was quicker."]


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ({}, {"content": "..."}),
        ({"type": "approval"}, {"decision": "approve"}),
        ({"schema": FORM}, {"data": {}}),
    ],
)
def test_without_a_terminal_the_command_that_answers_is_printed(
    question: dict[str, Any], said: dict[str, Any]
) -> None:
    scene = Scene()

    scene.attend(terminal=False, **question)

    told = scene.told[-1]
    words = shlex.split(told[told.index("curl") :])
    assert words[1] == "http://127.0.0.1:1/v1/runs/run_1/input"
    assert json.loads(words[words.index("-d") + 1]) == {"action_id": "t/boss/input:0", **said}
    assert scene.sent == []


def test_the_end_of_the_input_leaves_the_question_open() -> None:
    scene = Scene(None)

    scene.attend()

    assert "teamrun answer" in scene.told[0]
    assert scene.sent == []


def test_the_printed_command_contains_no_key() -> None:
    scene = Scene()

    scene.attend(terminal=False, api_key="sk-canary")

    assert "$TEAMRUN_API_KEY" in scene.told[-1]
    assert "sk-canary" not in scene.told[-1]
