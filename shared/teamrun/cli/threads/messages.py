"""`teamrun threads messages`: the conversation of a thread."""

from teamrun.cli.options import ApiKeyOption, JsonOption, UrlOption
from teamrun.cli.screen import print_json, result
from teamrun.cli.server import DEFAULT_URL, connect
from teamrun.cli.show import sender
from teamrun.cli.threads.options import ThreadArgument
from teamrun.client.calls import threads

__all__ = ["EXAMPLE", "command"]

EXAMPLE = 'teamrun threads messages "$THREAD"'


def command(
    thread: ThreadArgument,
    url: UrlOption = DEFAULT_URL,
    api_key: ApiKeyOption = None,
    json_: JsonOption = False,
) -> None:
    """Print the conversation of a thread, the oldest message first."""
    call = threads.thread_messages(thread)
    with connect(url, api_key) as client:
        if json_:
            print_json(client.reply(call.first).text)
            return
        for each in client.send(call):
            message = each.message
            result(f"{sender(message, str(message.get('source')))}: {message.get('content')}")
