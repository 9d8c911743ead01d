"""Watching a batch to its end, and writing its results."""

import shlex
import sys
from dataclasses import replace
from pathlib import Path

from teamrun.batches.resources import Batch
from teamrun.cli.batch.progress import BatchProgress, summary
from teamrun.cli.screen import print_json, talk
from teamrun.client.address import DEFAULT_URL
from teamrun.client.requests import Download
from teamrun.client.sync import Client
from teamrun.errors import Unavailable, UsageError

__all__ = ["check_free", "conclude", "save", "watch_batch"]


def watch_batch(client: Client, batch_id: str, *, as_json: bool) -> Batch:
    """Show the progress of a batch to its end.

    Args:
        client: The client.
        batch_id: The batch.
        as_json: Print each state as JSON.

    Raises:
        KeyboardInterrupt: After Ctrl-C; the batch continues, and the command to come back is shown.
        Unavailable: The server stays away; the same is shown.
    """
    last: Batch | None = None
    try:
        with BatchProgress() as progress:
            for last in client.batches.watch(batch_id):
                if as_json:
                    print_json(last.model_dump_json(by_alias=True, warnings=False))
                else:
                    progress.take(last)
    except (KeyboardInterrupt, Unavailable):
        where = "" if client.base_url == DEFAULT_URL else f" --url {client.base_url}"
        talk(f"The batch continues. Come back with: teamrun batch watch {batch_id}{where}")
        raise
    assert last is not None, "a batch has at least its present state"
    return last


def conclude(batch: Batch) -> None:
    """Print what became of a batch; status 1 if an item has not completed."""
    talk(f"{batch.status}: {summary(batch)}")
    if batch.stop_reason:
        talk(batch.stop_reason)
    if batch.counts.completed < batch.counts.total:
        talk(f"What did not complete: teamrun batch errors {batch.id}")
        talk(f"Run these items again: teamrun batch retry-failed {batch.id}")
        sys.exit(1)


def check_free(output: str | None, *, force: bool) -> None:
    """Refuse a file that exists before work begins whose result would not be written.

    Raises:
        UsageError: There is such a file, or its folder does not exist.
    """
    if not output or output == "-":
        return
    path = Path(output)
    if path.exists() and not force:
        raise UsageError(f"{output} exists already; replace it with --force.")
    if not path.parent.is_dir():
        raise UsageError(f"The folder {path.parent} does not exist.")


def save(
    client: Client, call: Download, output: str | None, *, force: bool, is_quiet: bool = False
) -> None:
    """Write a document of a batch into a file, whose size is told unless `is_quiet`, or to stdout.

    Raises:
        UsageError: The file cannot be written.
    """
    if not output or output == "-":
        sys.stdout.buffer.write(client.send(call.request))
        return
    try:
        path = client.send(replace(call, target=Path(output), replace=force))
    except FileExistsError as error:
        raise UsageError(f"{output} exists already; replace it with --force.") from error
    except (OSError, ValueError) as error:  # a name may be too long, or have a null character
        raise UsageError(f"{output!r} cannot be written: {error}") from error
    if not is_quiet:
        talk(f"{shlex.quote(str(path))} ({path.stat().st_size} bytes)")
