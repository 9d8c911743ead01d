"""`teamrun submit`: hand a run to a server."""

import uuid
from typing import Annotated

import typer

from teamrun.cli.api_client import DEFAULT_URL, ApiClient
from teamrun.cli.given import named_team, task_text
from teamrun.cli.limits import MaxCostOption, TimeoutOption, limits
from teamrun.cli.options import ApiKeyOption, JsonOption, UrlOption
from teamrun.cli.overrides import MaxTurnsOption, ModelOption, overrides
from teamrun.cli.screen import print_json, result
from teamrun.cli.values import finite, header_text
from teamrun.cli.watch import watch_to_end
from teamrun.errors import UsageError
from teamrun.runs.service.resources import Run

__all__ = ["EXAMPLE", "command"]

EXAMPLE = 'teamrun submit analysts "Which region sold most?" --watch'


def command(
    team: Annotated[
        str, typer.Argument(envvar="TEAMRUN_TEAM", help="A team's name, or a .json file with one.")
    ],
    task: Annotated[str, typer.Argument(help="The task; `-` reads it from stdin.")],
    watch: Annotated[
        bool,
        typer.Option(
            "--watch/--no-watch",
            "-w",
            envvar="TEAMRUN_WATCH",
            help="Show the run to its end; status 1 if it failed.",
        ),
    ] = False,
    metadata: Annotated[
        list[str] | None,
        typer.Option("--metadata", "-m", envvar="TEAMRUN_METADATA", help="KEY=VALUE, repeatable."),
    ] = None,
    tag: Annotated[
        list[str] | None, typer.Option("--tag", envvar="TEAMRUN_TAG", help="Repeatable.")
    ] = None,
    model: ModelOption = None,
    max_turns: MaxTurnsOption = None,
    max_cost_usd: MaxCostOption = None,
    timeout_seconds: TimeoutOption = None,
    delay_seconds: Annotated[
        float | None,
        typer.Option(
            "--delay-seconds",
            envvar="TEAMRUN_DELAY_SECONDS",
            callback=finite,
            help="The run starts after this time.",
        ),
    ] = None,
    idempotency_key: Annotated[
        str | None,
        typer.Option(
            "--idempotency-key",
            envvar="TEAMRUN_IDEMPOTENCY_KEY",
            callback=header_text,
            help="Repeating a request with the same key creates no second run.",
        ),
    ] = None,
    url: UrlOption = DEFAULT_URL,
    api_key: ApiKeyOption = None,
    json_: JsonOption = False,
) -> None:
    """Submit a run and print its id."""
    server = ApiClient(url, api_key=api_key)
    body = {
        **named_team(team),
        "input": task_text(task),
        "metadata": dict(_pair(text) for text in metadata or []),
        "tags": tag or [],
        **overrides(model=model, max_turns=max_turns),
        **limits(max_cost_usd=max_cost_usd, timeout_seconds=timeout_seconds),
    }
    if delay_seconds is not None:
        body["delay_seconds"] = delay_seconds
    # With a generated key a lost response is harmless: the same request returns the same run.
    headers = {"Idempotency-Key": idempotency_key or uuid.uuid4().hex}
    answer = server.post("runs", body=body, headers=headers)
    run_id = Run.model_validate_json(answer).id
    if json_:
        print_json(answer)
    else:
        result(run_id)
    if watch:
        watch_to_end(server, run_id, as_json=json_)


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"--metadata {text!r} is not of the form KEY=VALUE.")
    return key, value
