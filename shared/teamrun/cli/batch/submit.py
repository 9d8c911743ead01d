"""`teamrun batch submit`: hand many tasks to a server, or run them here."""

import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Literal

import typer

from teamrun.batches.resources import Batch
from teamrun.cli.batch.following import check_free, conclude, save, watch_batch
from teamrun.cli.batch.local import run_locally
from teamrun.cli.batch.options import ForceOption, OutputOption
from teamrun.cli.given import named_team
from teamrun.cli.options import ApiKeyOption, ConfigOption, JsonOption, UrlOption
from teamrun.cli.output_schema import OutputSchemaOption, schema_in
from teamrun.cli.overrides import MaxTurnsOption, ModelOption, overrides
from teamrun.cli.screen import talk
from teamrun.cli.server import DEFAULT_URL, connect, print_value
from teamrun.cli.submit import pair
from teamrun.cli.values import finite
from teamrun.cli.webhook import WebhookEventsOption, WebhookOption, webhook
from teamrun.client.calls import batches
from teamrun.client.calls.batch_options import FileOptions
from teamrun.client.calls.run_options import Team
from teamrun.client.errors import RequestError
from teamrun.client.sync import Client
from teamrun.errors import TeamrunError, UsageError

__all__ = ["EXAMPLE", "command"]

EXAMPLE = "teamrun batch submit tasks.jsonl --team analysts --output results.jsonl"

_URLS = ("s3://", "az://", "azure://", "file://")


def command(
    file: Annotated[
        str,
        typer.Argument(
            envvar="TEAMRUN_FILE",
            help="The tasks: JSON lines with `input`, or a CSV file with a header. `-` is stdin; a "
            "URL (s3://, az://, file://) is read by the server, if its operator allows it.",
        ),
    ],
    team: Annotated[
        str,
        typer.Option(
            "--team", "-t", envvar="TEAMRUN_TEAM", help="A team's name, or a .json file with one."
        ),
    ],
    input_template: Annotated[
        str | None,
        typer.Option(
            "--input-template",
            envvar="TEAMRUN_INPUT_TEMPLATE",
            help='The task of each row of a CSV file: "Summarise {title}: {body}".',
        ),
    ] = None,
    input_format: Annotated[
        Literal["jsonl", "csv"] | None,
        typer.Option(
            "--input-format", envvar="TEAMRUN_INPUT_FORMAT", help="By default, by the file's name."
        ),
    ] = None,
    on_invalid: Annotated[
        Literal["reject", "skip"],
        typer.Option(
            "--on-invalid",
            envvar="TEAMRUN_ON_INVALID",
            help="Refuse a file with invalid lines, or skip these lines.",
        ),
    ] = "reject",
    max_concurrency: Annotated[
        int | None,
        typer.Option(
            "--max-concurrency",
            envvar="TEAMRUN_MAX_CONCURRENCY",
            min=1,
            help="Maximum number of items in flight.",
        ),
    ] = None,
    max_cost_usd: Annotated[
        str | None,
        typer.Option(
            "--max-cost-usd",
            envvar="TEAMRUN_MAX_COST_USD",
            callback=finite,
            help="Maximum cost of the whole batch, if prices are known.",
        ),
    ] = None,
    max_failure_rate: Annotated[
        float | None,
        typer.Option(
            "--max-failure-rate",
            envvar="TEAMRUN_MAX_FAILURE_RATE",
            callback=finite,
            help="Start no more items if a larger share has failed, such as 0.1.",
        ),
    ] = None,
    model: ModelOption = None,
    max_turns: MaxTurnsOption = None,
    output_schema: OutputSchemaOption = None,
    metadata: Annotated[
        list[str] | None,
        typer.Option("--metadata", "-m", envvar="TEAMRUN_METADATA", help="KEY=VALUE, repeatable."),
    ] = None,
    tag: Annotated[
        list[str] | None, typer.Option("--tag", envvar="TEAMRUN_TAG", help="Repeatable.")
    ] = None,
    webhook_url: WebhookOption = None,
    webhook_events: WebhookEventsOption = None,
    output: OutputOption = None,
    force: ForceOption = False,
    watch: Annotated[
        bool,
        typer.Option(
            "--watch/--no-watch",
            "-w",
            envvar="TEAMRUN_WATCH",
            help="Show the progress to the end. --output needs it.",
        ),
    ] = True,
    local: Annotated[
        bool,
        typer.Option(
            "--local/--no-local",
            envvar="TEAMRUN_LOCAL",
            help="Run everything in this process, without a server; nothing else is kept.",
        ),
    ] = False,
    config: ConfigOption = None,
    url: UrlOption = DEFAULT_URL,
    api_key: ApiKeyOption = None,
    json_: JsonOption = False,
) -> None:
    """Run a team once for each task of a file, and print the id of the batch.

    `submit` may be left out. The progress is shown to the end; Ctrl-C leaves the batch running, and
    `teamrun batch watch` returns to it. The status is 1 if an item did not complete. With --local,
    the results go to --output, or to stdout.
    """
    check_free(output, force=force)
    if output and not (watch or local):
        raise UsageError("--output needs --watch; `teamrun batch results` writes the file later.")
    options: FileOptions = {
        "input_template": input_template,
        "input_format": input_format,
        "on_invalid": on_invalid,
        "max_concurrency": max_concurrency,
        "max_failure_rate": max_failure_rate,
        "limits": None if max_cost_usd is None else {"max_cost_usd": max_cost_usd},
        "overrides": overrides(model=model, max_turns=max_turns),
        "output_schema": schema_in(output_schema),
        "metadata": dict(pair(text) for text in metadata or []),
        "tags": tag or [],
        "webhook": webhook(webhook_url, webhook_events),
    }
    if local:
        _check_local(file, options)
        with _readable(file) as path:
            run_locally(config, named_team(team), path, options, output=output, as_json=json_)
        return
    with connect(url, api_key) as client:
        batch = _submitted(client, team, file, options, as_json=json_)
        if not watch:
            return
        batch = watch_batch(client, batch.id, as_json=json_)
        if output:
            save(client, batches.download_results(batch.id, output), output, force=force)
    conclude(batch)


def _check_local(file: str, options: FileOptions) -> None:
    """Refuse what only a server does.

    Raises:
        UsageError: The file is a URL, or there is a webhook.
    """
    if _is_url(file):
        raise UsageError(f"FILE {file!r}: a server reads URLs; with --local, name a file.")
    if options.get("webhook") is not None:
        raise UsageError("--webhook needs a server; leave out --local, or the webhook.")


def _submitted(
    client: Client, team: str, file: str, options: FileOptions, *, as_json: bool
) -> Batch:
    definition = named_team(team)
    if _is_url(file):
        call = batches.submit_url(definition, file, **options)
        return print_value(client, call, lambda batch: batch.id, as_json=as_json)
    with _readable(file) as path:
        return _uploaded(client, definition, path, options, name=_name(file), as_json=as_json)


def _is_url(file: str) -> bool:
    return file.startswith(_URLS)


def _uploaded(
    client: Client, definition: Team, path: Path, options: FileOptions, *, name: str, as_json: bool
) -> Batch:
    uploaded = client.files.upload(path, name=name)
    call = batches.submit_uploaded(definition, uploaded.id, **options)
    try:
        return print_value(client, call, lambda batch: batch.id, as_json=as_json)
    except RequestError:  # refused: nothing refers to the file
        with suppress(TeamrunError):
            client.files.delete(uploaded.id)
        raise
    except KeyboardInterrupt:
        talk("Whether the batch was accepted is unknown; `teamrun batch list` shows it.")
        raise


def _name(file: str) -> str:
    return "stdin.jsonl" if file == "-" else Path(file).name


@contextmanager
def _readable(file: str) -> Generator[Path]:
    """The file, or what stdin has as a temporary file.

    Raises:
        UsageError: There is no such file.
    """
    if file != "-":
        path = Path(file)
        if not path.is_file():
            raise UsageError(f"{file!r} is not a file.")
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="teamrun-") as folder:
        path = Path(folder) / "stdin.jsonl"
        with path.open("wb") as target:
            while piece := sys.stdin.buffer.read(1 << 20):
                target.write(piece)
        yield path
