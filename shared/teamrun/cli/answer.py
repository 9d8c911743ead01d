"""`teamrun answer`: answer the question of a run, from a script."""

from typing import Annotated

import typer

from teamrun.cli.given import json_value
from teamrun.cli.options import ApiKeyOption, JsonOption, UrlOption
from teamrun.cli.server import DEFAULT_URL, connect, print_value
from teamrun.client.calls import signals
from teamrun.errors import UsageError
from teamrun.json_types import JsonObject
from teamrun.runs.log.status import RequiredAction
from teamrun.runs.service.resources import Run

__all__ = ["EXAMPLE", "command"]

EXAMPLE = (
    'teamrun answer "$(teamrun runs --status input_required --limit 1 --ids)" --content "Go on."'
)


def command(
    run_id: Annotated[str, typer.Argument(envvar="TEAMRUN_RUN_ID", help="The run.")],
    approve: Annotated[
        list[bool] | None,
        typer.Option(
            "--approve/--reject",
            " /--no-approve",
            envvar="TEAMRUN_APPROVE",
            help="Whether a call may be made; --content is the reason.",
            show_default=False,
        ),
    ] = None,
    content: Annotated[
        str | None,
        typer.Option("--content", envvar="TEAMRUN_CONTENT", help="The answer as text."),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            "--data", envvar="TEAMRUN_DATA", help="The answer as JSON, to a question with a schema."
        ),
    ] = None,
    action: Annotated[
        str | None,
        typer.Option(
            "--action", envvar="TEAMRUN_ACTION", help="Id of the question, if there are several."
        ),
    ] = None,
    url: UrlOption = DEFAULT_URL,
    api_key: ApiKeyOption = None,
    json_: JsonOption = False,
) -> None:
    """Answer a question of a run that waits for a person, and print the run's status."""
    approves = _one_decision(approve or [])
    given = _given(approves, content, data)
    with connect(url, api_key) as client:
        question = _action(client.runs.get(run_id), action)
        _check(question, approves)
        call = signals.answer(run_id, question.id, **given)
        print_value(client, call, lambda run: run.status, as_json=json_)


def _check(question: RequiredAction, approves: bool | None) -> None:
    if question.type == "approval" and approves is None and "answer" not in question.decisions:
        raise UsageError(
            f"{question.id} is an approval ({question.prompt.strip()}): use --approve or --reject; "
            "--content is then the reason."
        )


def _one_decision(given: list[bool]) -> bool | None:
    if len(set(given)) > 1:
        raise UsageError("--approve and --reject cannot be combined; use one of them.")
    return given[0] if given else None


def _given(approve: bool | None, content: str | None, data: str | None) -> JsonObject:
    if approve is None and content is None and data is None:
        raise UsageError(
            "There is no answer: use --approve, --reject, --content TEXT or --data JSON."
        )
    answer: JsonObject = {} if content is None else {"content": content}
    if approve is not None:
        answer["decision"] = "approve" if approve else "reject"
    if data is not None:
        try:
            answer["data"] = json_value(data)
        except ValueError as error:
            raise UsageError(f"--data is not JSON that can be sent: {error}.") from error
    return answer


def _action(run: Run, action_id: str | None) -> RequiredAction:
    found = [each for each in run.required_actions if action_id in (None, each.id)]
    match found:
        case [only]:
            return only
        case []:
            what = "no open question" if action_id is None else f"no open question {action_id!r}"
            raise UsageError(f"{run.id} has {what}; its status is {run.status}.")
        case several:
            listed = "".join(f"\n  {each.id}: {each.prompt}" for each in several)
            raise UsageError(f"{run.id} has several questions; select one with --action:{listed}")
