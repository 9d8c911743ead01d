"""`teamrun batch errors`: what a batch did not complete."""

from teamrun.cli.batch.following import save
from teamrun.cli.batch.options import BatchArgument, ForceOption, LinesOption
from teamrun.cli.options import ApiKeyOption, JsonOption, UrlOption
from teamrun.cli.server import DEFAULT_URL, connect
from teamrun.client.calls import batches

__all__ = ["EXAMPLE", "command"]

EXAMPLE = 'teamrun batch errors "$(teamrun batch list --limit 1 --ids)"'


def command(
    batch_id: BatchArgument,
    output: LinesOption = None,
    force: ForceOption = False,
    url: UrlOption = DEFAULT_URL,
    api_key: ApiKeyOption = None,
    json_: JsonOption = False,
) -> None:
    """Write the lines that were skipped and the items that did not complete, as JSON lines."""
    with connect(url, api_key) as client:
        save(
            client,
            batches.download_errors(batch_id, output or "-"),
            output,
            force=force,
            is_quiet=json_,
        )
