"""`teamrun batch status`: the state of a batch."""

from teamrun.batches.resources import Batch
from teamrun.cli.batch.options import BatchArgument
from teamrun.cli.batch.progress import summary
from teamrun.cli.options import ApiKeyOption, JsonOption, UrlOption
from teamrun.cli.server import DEFAULT_URL, connect, print_value
from teamrun.client.calls import batches

__all__ = ["EXAMPLE", "command"]

EXAMPLE = 'teamrun batch status "$(teamrun batch list --limit 1 --ids)"'


def command(
    batch_id: BatchArgument,
    url: UrlOption = DEFAULT_URL,
    api_key: ApiKeyOption = None,
    json_: JsonOption = False,
) -> None:
    """Print the status of a batch, its counts, its cost and the time left."""
    with connect(url, api_key) as client:
        print_value(client, batches.get_batch(batch_id), _shown, as_json=json_)


def _shown(batch: Batch) -> str:
    reason = f"\n{batch.stop_reason}" if batch.stop_reason else ""
    return f"{batch.status}: {summary(batch)}{reason}"
