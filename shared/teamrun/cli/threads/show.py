"""`teamrun threads show`: one conversation."""

from teamrun.cli.options import ApiKeyOption, JsonOption, UrlOption
from teamrun.cli.screen import print_json, result
from teamrun.cli.server import DEFAULT_URL, connect
from teamrun.cli.threads.options import ThreadArgument
from teamrun.client.calls import threads

__all__ = ["EXAMPLE", "command"]

EXAMPLE = 'teamrun threads show "$THREAD"'


def command(
    thread: ThreadArgument,
    url: UrlOption = DEFAULT_URL,
    api_key: ApiKeyOption = None,
    json_: JsonOption = False,
) -> None:
    """Show a thread: its metadata, the run that is active, and those that wait for it."""
    call = threads.get_thread(thread)
    with connect(url, api_key) as client:
        reply = client.reply(call)
    if json_:
        print_json(reply.text)
        return
    shown = call.value(reply)
    result(f"{shown.id}  {shown.status}  runs: {shown.runs_count}  revision: {shown.revision}")
    for key, value in shown.metadata.items():
        result(f"{key}={value}")
    if shown.active_run_id is not None:
        result(f"active: {shown.active_run_id}")
    for run_id in shown.queued_run_ids:
        result(f"queued: {run_id}")
