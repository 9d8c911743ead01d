"""`teamrun batch watch`: return to a batch."""

from teamrun.cli.batch.following import check_free, conclude, save, watch_batch
from teamrun.cli.batch.options import BatchArgument, ForceOption, OutputOption
from teamrun.cli.options import ApiKeyOption, JsonOption, UrlOption
from teamrun.cli.server import DEFAULT_URL, connect
from teamrun.client.calls import batches

__all__ = ["EXAMPLE", "command"]

EXAMPLE = 'teamrun batch watch "$(teamrun batch list --limit 1 --ids)"'


def command(
    batch_id: BatchArgument,
    output: OutputOption = None,
    force: ForceOption = False,
    url: UrlOption = DEFAULT_URL,
    api_key: ApiKeyOption = None,
    json_: JsonOption = False,
) -> None:
    """Show the progress of a batch to its end; status 1 if an item did not complete.

    Ctrl-C leaves the batch running. With --output the results are then written into a file.
    """
    check_free(output, force=force)
    with connect(url, api_key) as client:
        batch = watch_batch(client, batch_id, as_json=json_)
        if output:
            save(client, batches.download_results(batch_id, output), output, force=force)
    conclude(batch)
