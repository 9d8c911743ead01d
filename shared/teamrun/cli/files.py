"""`teamrun files`: the files that the tools of a run have left."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from teamrun.cli.options import ApiKeyOption, JsonOption, UrlOption
from teamrun.cli.screen import print_json, print_table, talk
from teamrun.cli.server import DEFAULT_URL, connect
from teamrun.client.calls import artifacts
from teamrun.client.requests import Download, Reply, Request
from teamrun.client.sync import Client
from teamrun.errors import UsageError
from teamrun.runs.service.resources import Artifact
from teamrun.tools.context import check_artifact_name

__all__ = ["EXAMPLE", "command"]

EXAMPLE = 'teamrun files "$(teamrun runs --status completed --limit 1 --ids)"'


def command(
    run_id: Annotated[str, typer.Argument(envvar="TEAMRUN_RUN_ID", help="The run.")],
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Files to download; without any, the files are listed."),
    ] = None,
    all_: Annotated[
        bool,
        typer.Option("--all/--no-all", envvar="TEAMRUN_ALL", help="Download every file."),
    ] = False,
    version: Annotated[
        int | None,
        typer.Option(
            "--version",
            envvar="TEAMRUN_FILE_VERSION",
            min=1,
            help="This version instead of the newest.",
        ),
    ] = None,
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            envvar="TEAMRUN_OUTPUT",
            help="The folder to write to; `-` writes to stdout.",
        ),
    ] = ".",
    force: Annotated[
        bool,
        typer.Option("--force/--no-force", envvar="TEAMRUN_FORCE", help="Replace existing files."),
    ] = False,
    url: UrlOption = DEFAULT_URL,
    api_key: ApiKeyOption = None,
    json_: JsonOption = False,
) -> None:
    """List the files of a run, or download some or all of them."""
    call = artifacts.list_artifacts(run_id).first
    with connect(url, api_key) as client:
        reply = client.reply(call)
        files = call.value(reply).data
        wanted = sorted({file.name for file in files}) if all_ else names or []
        if not wanted and not all_:
            _list(reply, files, as_json=json_)
            return
        for file in [_chosen(files, name, version, run_id) for name in wanted]:
            content = artifacts.read(run_id, file.name, version=file.version)
            if output == "-":
                sys.stdout.buffer.write(client.send(content))
            else:
                _save(client, content, file, output, force=force)


def _list(reply: Reply, files: Sequence[Artifact], *, as_json: bool) -> None:
    if as_json:
        print_json(reply.text)
        return
    rows = [(file.name, str(file.version), str(file.size), file.media_type) for file in files]
    print_table(("name", "version", "bytes", "type"), rows)


def _chosen(files: Sequence[Artifact], name: str, version: int | None, run_id: str) -> Artifact:
    """The newest version of a file, or that version."""
    for file in reversed(files):
        if file.name == name and version in (None, file.version):
            return file
    wanted = name if version is None else f"{name}, version {version}"
    known = ", ".join(sorted({file.name for file in files})) or "none"
    raise UsageError(f"{run_id} has no file {wanted}. Its files: {known}.")


def _save(
    client: Client, content: Request[bytes], file: Artifact, output: str, *, force: bool
) -> None:
    # The server sends the name: it must not lead out of the folder.
    path = Path(output) / check_artifact_name(file.name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise UsageError(
            f"{error.filename} is not a folder; choose another one with --output."
        ) from error
    except (OSError, ValueError) as error:
        raise UsageError(f"The folder {path.parent} cannot be made: {error}") from error
    try:
        client.send(Download(content, path, force))
    except FileExistsError as error:
        raise UsageError(f"{path} exists already; replace it with --force.") from error
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error}") from error
    talk(f"{path} ({path.stat().st_size} bytes)")
