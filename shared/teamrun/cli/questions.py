"""Questions of a run, put to the person at the terminal."""

import json
import shlex
from collections.abc import Callable
from typing import Protocol

from teamrun.cli.given import json_value
from teamrun.cli.screen import talk
from teamrun.cli.terminal import NoLongerAsked, ReadLine
from teamrun.client.sync import Client
from teamrun.errors import RunEnded, StaleAction, Unavailable, UnfitAnswer
from teamrun.json_types import JsonObject
from teamrun.runs.log.status import RequiredAction

__all__ = ["ApiPrompter", "Attendant", "Prompter"]


class Prompter(Protocol):
    """The open questions of one run, and the sending of answers."""

    def action(self, action_id: str) -> RequiredAction | None:
        """The question; None if it is not open."""
        ...

    def answer(self, action_id: str, answer: JsonObject) -> None:
        """Give the answer.

        Raises:
            UnfitAnswer: It does not fit the question.
            StaleAction: The question is not open any more.
        """
        ...

    def left_open(self, action: RequiredAction) -> None:
        """Take note of a question that the person here has not answered."""
        ...


class ApiPrompter:
    """Implements `Prompter` over HTTP.

    Args:
        client: The client of the API.
        run_id: The run.
        show: Shows a text to the person.
    """

    def __init__(self, client: Client, run_id: str, *, show: Callable[[str], None] = talk) -> None:
        self._client = client
        self._run_id = run_id
        self._show = show

    def action(self, action_id: str) -> RequiredAction | None:
        """The question; None if it is not open."""
        run = self._client.runs.get(self._run_id)
        return next((each for each in run.required_actions if each.id == action_id), None)

    def answer(self, action_id: str, answer: JsonObject) -> None:
        """Send the answer."""
        self._client.runs.answer(self._run_id, action_id, **answer)

    def left_open(self, action: RequiredAction) -> None:
        """Show how to answer from elsewhere."""
        said: JsonObject = {"content": "..."}
        if action.type == "approval":
            said = {"decision": "approve"}
        elif action.schema_ is not None:
            said = {"data": {}}
        body = json.dumps({"action_id": action.id, **said}, ensure_ascii=False)
        key = ' -H "Authorization: Bearer $TEAMRUN_API_KEY"' if self._client.has_api_key else ""
        url = shlex.quote(f"{self._client.base_url}/v1/runs/{self._run_id}/input")
        self._show(
            "The run waits for an answer. Give it with `teamrun answer`, or:\n"
            f"  curl {url}{key} -H 'Content-Type: application/json' -d {shlex.quote(body)}"
        )


class Attendant:
    """Asks the person at the terminal the questions of one run.

    Args:
        prompter: Returns the open questions and sends the answers.
        read_line: Asks the person; None if there is no terminal.
        show: Shows a text to the person.
        approves: Approve every tool call without asking.
    """

    def __init__(
        self,
        prompter: Prompter,
        *,
        read_line: ReadLine | None,
        show: Callable[[str], None] = talk,
        approves: bool = False,
    ) -> None:
        self._prompter = prompter
        self._read_line = read_line
        self._show = show
        self._approves = approves

    def attend(self, action_id: str) -> None:
        """Put a question to the person until it is answered, here or elsewhere."""
        action = self._prompter.action(action_id)
        if action is None:
            return
        try:
            while (said := self._asked(action)) is not None and not self._sent(action, said):
                pass
        except NoLongerAsked:
            self._show("The question is not open any more.")
            return
        except (StaleAction, RunEnded, Unavailable) as error:
            self._show(str(error))
            return
        if said is None:
            self._prompter.left_open(action)

    def _sent(self, action: RequiredAction, said: JsonObject) -> bool:
        try:
            self._prompter.answer(action.id, said)
        except UnfitAnswer as error:
            self._show(str(error))
            return False
        return True

    def _asked(self, action: RequiredAction) -> JsonObject | None:
        """The person's answer; None if no person is there."""
        if action.type == "approval":
            return {"decision": "approve"} if self._approves else self._decision(action)
        if action.schema_ is None:
            return self._content(action)
        self._show(f"The answer is JSON that fits {json.dumps(action.schema_)}")
        return self._data(action)

    def _decision(self, action: RequiredAction) -> JsonObject | None:
        while (line := self._line(action, "approve? [y/n] ")) is not None:
            match line.strip().lower():
                case "y" | "yes" | "approve":
                    return {"decision": "approve"}
                case "n" | "no" | "reject":
                    reason = self._line(action, "why not> ")
                    return {"decision": "reject", "content": reason or None}
                case _:
                    self._show("Write y to approve, n to reject.")
        return None

    def _content(self, action: RequiredAction) -> JsonObject | None:
        while (line := self._line(action, "answer> ")) is not None:
            if line.strip():
                return {"content": line}
            self._show("Write an answer, or press Ctrl-D to give none.")
        return None

    def _data(self, action: RequiredAction) -> JsonObject | None:
        while (line := self._line(action, "JSON> ")) is not None:
            try:
                return {"data": json_value(line)}
            except ValueError as error:
                self._show(f"This is not valid JSON: {error}.")
        return None

    def _line(self, action: RequiredAction, text: str) -> str | None:
        if self._read_line is None:
            return None
        return self._read_line(text, lambda: self._is_open(action))

    def _is_open(self, action: RequiredAction) -> bool:
        try:
            return self._prompter.action(action.id) is not None
        except Unavailable:
            return True
