"""`teamrun batch resume`: continue a paused batch."""

from teamrun.cli.batch.options import BatchArgument
from teamrun.cli.options import ApiKeyOption, JsonOption, UrlOption
from teamrun.cli.server import DEFAULT_URL, connect, print_value
from teamrun.client.calls import batches

__all__ = ["EXAMPLE", "command"]

EXAMPLE = 'teamrun batch resume "$(teamrun batch submit tasks.jsonl --team analysts --no-watch)"'


def command(
    batch_id: BatchArgument,
    url: UrlOption = DEFAULT_URL,
    api_key: ApiKeyOption = None,
    json_: JsonOption = False,
) -> None:
    """Continue a paused batch and print its status."""
    with connect(url, api_key) as client:
        print_value(client, batches.resume(batch_id), lambda batch: batch.status, as_json=json_)
