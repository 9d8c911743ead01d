"""`teamrun submit`: hand a run to a server."""

from enum import StrEnum
from typing import Annotated

import typer

from teamrun.cli.given import as_read, in_file, named_team, task_text
from teamrun.cli.limits import MaxCostOption, TimeoutOption, limits
from teamrun.cli.options import ApiKeyOption, JsonOption, UrlOption
from teamrun.cli.output_schema import OutputSchemaOption, schema_in
from teamrun.cli.overrides import MaxTurnsOption, ModelOption, overrides
from teamrun.cli.server import DEFAULT_URL, connect, print_value
from teamrun.cli.values import finite, header_text
from teamrun.cli.watch import watch_to_end
from teamrun.cli.webhook import WebhookEventsOption, WebhookOption, webhook
from teamrun.client.calls import runs as calls
from teamrun.client.errors import InvalidDefinitionError
from teamrun.errors import UsageError
from teamrun.runs.log.spec import BusyPolicy

__all__ = ["EXAMPLE", "command", "pair"]


class OnBusy(StrEnum):
    """What a run does if its thread is busy."""

    enqueue = "enqueue"
    reject = "reject"
    interrupt = "interrupt"
    rollback = "rollback"


EXAMPLE = 'teamrun submit analysts "Which region sold most?" --watch'


def command(
    context: typer.Context,
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
    output_schema: OutputSchemaOption = None,
    delay_seconds: Annotated[
        float | None,
        typer.Option(
            "--delay-seconds",
            envvar="TEAMRUN_DELAY_SECONDS",
            callback=finite,
            help="The run starts after this time.",
        ),
    ] = None,
    thread: Annotated[
        str | None,
        typer.Option(
            "--thread", envvar="TEAMRUN_THREAD", help="The thread whose conversation it continues."
        ),
    ] = None,
    on_busy_thread: Annotated[
        OnBusy | None,
        typer.Option(
            "--on-busy-thread",
            envvar="TEAMRUN_ON_BUSY_THREAD",
            help="What happens if the thread has a run that has not ended.",
        ),
    ] = None,
    webhook_url: WebhookOption = None,
    webhook_events: WebhookEventsOption = None,
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
    call = calls.submit(
        named_team(team),
        task_text(task),
        idempotency_key=idempotency_key,
        metadata=dict(pair(text) for text in metadata or []),
        tags=tag or [],
        overrides=overrides(model=model, max_turns=max_turns),
        limits=limits(max_cost_usd=max_cost_usd, timeout_seconds=timeout_seconds),
        output_schema=schema_in(output_schema),
        delay_seconds=delay_seconds,
        thread_id=thread,
        on_busy_thread=_policy(context, on_busy_thread, thread),
        webhook=webhook(webhook_url, webhook_events),
    )
    with connect(url, api_key) as client:
        try:
            run = print_value(client, call, lambda run: run.id, as_json=json_)
        except InvalidDefinitionError as error:
            if team.endswith(".json") or output_schema is not None:
                in_schema = in_file(as_read(error), str(output_schema), root="/output_schema")
                raise in_file(in_schema, team) from error
            raise
        if watch:
            watch_to_end(client, run.id, as_json=json_)


def _policy(context: typer.Context, given: OnBusy | None, thread: str | None) -> BusyPolicy | None:
    """The policy of the option; that of the environment only concerns runs of a thread."""
    source = context.get_parameter_source("on_busy_thread")
    is_usual = source is not None and source.name == "ENVIRONMENT"
    return None if given is None or (thread is None and is_usual) else given.value


def pair(text: str) -> tuple[str, str]:
    """The key and the value of a `--metadata` option.

    Raises:
        UsageError: It is not of the form KEY=VALUE.
    """
    key, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"--metadata {text!r} is not of the form KEY=VALUE.")
    return key, value
