"""Questions of a run, put to the person at the terminal and answered over HTTP."""

import json
import shlex
import sys
from collections.abc import Callable
from typing import Any

from teamrun.cli.screen import ask, talk
from teamrun.cli.server import Server
from teamrun.errors import RunEnded, StaleAction, Unavailable, UnfitAnswer
from teamrun.runs.public import RequiredAction, Run

__all__ = ["Attendant", "ReadLine", "at_terminal"]

ReadLine = Callable[[str], str | None]
"""Shows a prompt and reads a line; None where the input has ended."""


def at_terminal() -> ReadLine | None:
    """Reads lines from the terminal; None where nobody sits there."""
    return ask if sys.stdin.isatty() and sys.stderr.isatty() else None


class Attendant:
    """Answers what one run asks.

    Args:
        server: Where the run is.
        run_id: The run.
        read_line: Asks the person; None says how to answer from elsewhere.
        tell: Says something to the person.
    """

    def __init__(
        self,
        server: Server,
        run_id: str,
        *,
        read_line: ReadLine | None,
        tell: Callable[[str], None] = talk,
    ) -> None:
        self._server = server
        self._run_id = run_id
        self._read_line = read_line
        self._tell = tell

    def attend(self, action_id: str) -> None:
        """Put a question to the person, unless it has been answered meanwhile."""
        run = Run.model_validate_json(self._server.get(f"/v1/runs/{self._run_id}"))
        action = next((each for each in run.required_actions if each.id == action_id), None)
        if action is None:
            return
        try:
            while (said := self._asked(action)) is not None and not self._sent(action, said):
                pass
        except (StaleAction, RunEnded, Unavailable) as error:
            self._tell(str(error))
            return
        if said is None:
            self._tell(self._how_to_answer(action))

    def _sent(self, action: RequiredAction, said: dict[str, Any]) -> bool:
        try:
            self._server.post(f"/v1/runs/{self._run_id}/input", {"action_id": action.id, **said})
        except UnfitAnswer as error:
            self._tell(str(error))
            return False
        return True

    def _asked(self, action: RequiredAction) -> dict[str, Any] | None:
        """What the person says; None where nobody is there to say anything."""
        if action.type == "approval":
            return self._decision()
        if action.schema_ is None:
            content = self._line("answer> ")
            return None if content is None else {"content": content}
        self._tell(f"The answer is JSON that fits {json.dumps(action.schema_)}")
        return self._data()

    def _decision(self) -> dict[str, Any] | None:
        while (line := self._line("approve? [y/n] ")) is not None:
            match line.strip().lower():
                case "y" | "yes":
                    return {"decision": "approve"}
                case "n" | "no":
                    reason = self._line("why not> ")
                    return {"decision": "reject", "content": reason or None}
                case _:
                    self._tell("Write y to approve, n to reject.")
        return None

    def _data(self) -> dict[str, Any] | None:
        while (line := self._line("JSON> ")) is not None:
            try:
                return {"data": json.loads(line)}
            except ValueError as error:
                self._tell(f"That is no JSON: {error}.")
        return None

    def _line(self, prompt: str) -> str | None:
        return None if self._read_line is None else self._read_line(prompt)

    def _how_to_answer(self, action: RequiredAction) -> str:
        said: dict[str, Any] = {"content": "..."}
        if action.type == "approval":
            said = {"decision": "approve"}
        elif action.schema_ is not None:
            said = {"data": {}}
        body = json.dumps({"action_id": action.id, **said}, ensure_ascii=False)
        key = ' -H "Authorization: Bearer $TEAMRUN_API_KEY"' if self._server.has_key else ""
        url = shlex.quote(f"{self._server.url}/v1/runs/{self._run_id}/input")
        return (
            "The run waits for an answer. Give it with `teamrun answer`, or:\n"
            f"  curl {url}{key} -H 'Content-Type: application/json' -d {shlex.quote(body)}"
        )
