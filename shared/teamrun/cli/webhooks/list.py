"""`teamrun webhooks list`: the registered webhooks."""

from teamrun.cli.options import ApiKeyOption, JsonOption, UrlOption
from teamrun.cli.screen import print_json, print_table
from teamrun.cli.server import DEFAULT_URL, connect
from teamrun.client.calls import webhooks

__all__ = ["EXAMPLE", "command"]

EXAMPLE = "teamrun webhooks list"


def command(
    url: UrlOption = DEFAULT_URL, api_key: ApiKeyOption = None, json_: JsonOption = False
) -> None:
    """List the registered webhooks, the newest first."""
    call = webhooks.list_webhooks().first
    with connect(url, api_key) as client:
        reply = client.reply(call)
    if json_:
        print_json(reply.text)
        return
    rows = [
        (
            each.id,
            "enabled" if each.enabled else f"disabled: {each.disabled_because}",
            each.url,
            ", ".join(each.events),
        )
        for each in call.value(reply).data
    ]
    print_table(("id", "state", "url", "events"), rows)
