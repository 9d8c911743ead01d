"""`teamrun batch pause`: start no more items."""

from teamrun.cli.batch.options import BatchArgument
from teamrun.cli.options import ApiKeyOption, JsonOption, UrlOption
from teamrun.cli.server import DEFAULT_URL, connect, print_value
from teamrun.client.calls import batches

__all__ = ["EXAMPLE", "command"]

EXAMPLE = 'teamrun batch pause "$(teamrun batch submit tasks.jsonl --team analysts --no-watch)"'


def command(
    batch_id: BatchArgument,
    url: UrlOption = DEFAULT_URL,
    api_key: ApiKeyOption = None,
    json_: JsonOption = False,
) -> None:
    """Pause a batch and print its status: no more items start, and those in flight end."""
    with connect(url, api_key) as client:
        print_value(client, batches.pause(batch_id), lambda batch: batch.status, as_json=json_)
