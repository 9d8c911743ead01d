"""`teamrun batch --local`: a batch in this process, by the same code as in a service."""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from teamrun.batches.entries import FINAL
from teamrun.batches.requests import BatchRequest
from teamrun.batches.resources import Batch
from teamrun.cli.batch.progress import BatchProgress, ItemRows, ended_of, summary
from teamrun.cli.given import checked
from teamrun.cli.in_process import failures_shown_here
from teamrun.cli.screen import print_json, talk
from teamrun.client.building import given
from teamrun.client.calls.batch_options import FileOptions
from teamrun.client.calls.run_options import Team, team_of
from teamrun.components.registry import Registry
from teamrun.components.team_file import load_registry
from teamrun.core.main_loop import run_main
from teamrun.errors import UsageError
from teamrun.live.memory import MemoryLive
from teamrun.runtime import Backends, Runtime, compose
from teamrun.settings import CommonSettings, load_settings
from teamrun.storage.memory import MemoryStore

__all__ = ["run_locally"]

_TENANT: Final = "default"
_SWEEP: Final = timedelta(seconds=1)
_PIECE_BYTES: Final = 1 << 20


def run_locally(
    config: Path | None,
    team: Team,
    path: Path,
    options: FileOptions,
    *,
    output: str | None,
    as_json: bool,
) -> None:
    """Run a batch in this process, and write its results; status 1 if an item did not complete.

    Args:
        config: The definition file.
        team: The team.
        path: The file with the tasks.
        options: The other fields of the request.
        output: The file to write; None or `-` is stdout.
        as_json: Print the last state of the batch as JSON, after the results.

    Raises:
        UsageError: A field is invalid, or an item needs a person.
        DefinitionError: The team is unknown or invalid.
        InvalidItems: Lines of the file are invalid.
    """
    settings = load_settings(CommonSettings, config=config)
    body = {**team_of(team), **given(**options)}
    with failures_shown_here():
        batch = run_main(_run(settings.config, body, path, output))
    if as_json:
        print_json(batch.model_dump_json(by_alias=True))
    talk(f"{batch.status}: {summary(batch)}")
    if batch.counts.completed < batch.counts.total:
        sys.exit(1)


async def _run(config: Path, body: dict[str, Any], path: Path, output: str | None) -> Batch:
    registry = load_registry(config, environ=os.environ)
    try:
        registry.preload()
        return await _batch(registry, body, path, output)
    finally:
        await registry.close()


async def _batch(registry: Registry, body: dict[str, Any], path: Path, output: str | None) -> Batch:
    progress = BatchProgress()
    runtime = compose(
        Backends(MemoryStore(), MemoryLive(), None),
        registry,
        sweep=_SWEEP,
        observe=(ItemRows(progress.say).appended,),
    )
    assert runtime.executor is not None, "a process without a queue executes its runs"
    runtime.executor.start()
    try:
        file = await runtime.batches.files.upload(
            _TENANT, _pieces(path), name=path.name, limit=sys.maxsize
        )
        request = checked(BatchRequest, {**body, "input_file_id": file.id})
        batch = (await runtime.batches.submit(_TENANT, request)).batch
        try:
            with progress:
                batch = await _followed(runtime, batch, progress)
        except (asyncio.CancelledError, UsageError):  # Ctrl-C, or an item needs a person
            await _write_ended(runtime, batch, output)
            raise
        await _write(runtime, batch, output)
        return batch
    finally:
        await runtime.shutdown(timedelta())


async def _followed(runtime: Runtime, batch: Batch, progress: BatchProgress) -> Batch:
    while batch.status not in FINAL:
        progress.take(batch)
        news = await runtime.batches.wait(
            _TENANT, batch.id, timeout=_SWEEP, revision=batch.revision
        )
        if news.revision == batch.revision:
            await _check_persons(runtime, batch)
        batch = news
    progress.take(batch)
    return batch


async def _check_persons(runtime: Runtime, batch: Batch) -> None:
    """Refuse to wait for an answer that cannot be given.

    Raises:
        UsageError: An item waits for a person.
    """
    page = await runtime.batches.items(_TENANT, batch.id, status="running", limit=20)
    for item in page.data:
        if item.run_id is None:
            continue
        run = await runtime.service.get(_TENANT, item.run_id)
        if run.status == "input_required":
            raise UsageError(
                f"Item {item.custom_id!r} needs an answer from a person "
                f"({run.required_actions[0].prompt.strip()!r}). Submit the batch to a server, "
                "where `teamrun answer` gives it."
            )


async def _write_ended(runtime: Runtime, batch: Batch, output: str | None) -> None:
    """Write the results so far of a batch that does not go on, since they have been paid for."""
    batch = await runtime.batches.get(_TENANT, batch.id)
    if not ended_of(batch):
        talk("The batch was stopped before an item had ended; no file was written.")
        return
    await _write(runtime, batch, output)
    talk(f"The batch was stopped; {summary(batch)}. The results have the items that ended.")


async def _write(runtime: Runtime, batch: Batch, output: str | None) -> None:
    from teamrun.batches.results import as_csv

    results, _ = await runtime.batches.results(_TENANT, batch.id)
    is_table = output is not None and output.lower().endswith(".csv")
    pieces = as_csv(results.lines()) if is_table else results.lines()
    if not output or output == "-":
        async with aclosing(pieces):
            async for piece in pieces:
                sys.stdout.buffer.write(piece)
        sys.stdout.flush()
        return
    await _save(pieces, Path(output))


async def _save(pieces: AsyncGenerator[bytes, None], path: Path) -> None:
    draft = path.with_name(f".{path.name}.part")
    try:
        with draft.open("wb") as target:
            async with aclosing(pieces):
                async for piece in pieces:
                    await asyncio.to_thread(target.write, piece)
        draft.replace(path)
    except (OSError, ValueError) as error:  # a name may be too long, or have a null character
        with suppress(OSError, ValueError):
            draft.unlink()
        raise UsageError(f"{str(path)!r} cannot be written: {error}") from error
    talk(f"The results are in {path}")


async def _pieces(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while piece := await asyncio.to_thread(file.read, _PIECE_BYTES):
            yield piece
