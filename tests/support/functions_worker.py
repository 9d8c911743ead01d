"""A process as Azure Functions has one for Python: it indexes the functions and invokes them.

Invocations come as JSON lines on stdin, and their results leave on stdout. The inputs are made by
the converters of azure-functions, as the real worker does.
"""

import asyncio
import json
import logging
import os
import runpy
import sys
import traceback
from base64 import b64decode, b64encode
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from azure.functions.http import HttpRequestConverter
from azure.functions.meta import Datum
from azure.functions.queue import QueueMessageInConverter
from azure.functions.timer import TimerRequestConverter

__all__ = ["APP"]

APP = Path(__file__).parents[2] / "infra/azure/app"
"""The folder that is deployed, as far as it is written by hand; the host names it in
`AzureWebJobsScriptRoot`."""

Json = dict[str, Any]

# Their signatures are partly untyped.
_http: Any = HttpRequestConverter
_queue: Any = QueueMessageInConverter
_time: Any = TimerRequestConverter


def _request(given: Json) -> Any:
    headers = {name: Datum(value, "string") for name, value in given["headers"].items()}
    value = {
        "method": Datum(given["method"], "string"),
        "url": Datum(given["url"], "string"),
        "headers": headers,
        "query": {},
        "params": {},
        "body": Datum(b64decode(given["body"]), "bytes"),
    }
    return _http.decode(Datum(value, "http"), trigger_metadata={})


def _message(given: Json) -> Any:
    metadata = {
        "Id": Datum(given["id"], "string"),
        "DequeueCount": Datum(given["dequeue_count"], "int"),
        "PopReceipt": Datum(given["receipt"], "string"),
    }
    return _queue.decode(Datum(given["body"], "string"), trigger_metadata=metadata)


def _timer(_: Json) -> Any:
    info = json.dumps({"IsPastDue": False})
    return _time.decode(Datum(info, "json"), trigger_metadata={})


async def _invoke(functions: dict[str, Any], given: Json) -> Json:
    act = functions[given["function"]]
    match given["kind"]:
        case "http":
            context = SimpleNamespace(invocation_id=str(given["number"]), function_name="api")
            answer = await act(_request(given), context)
            return {
                "status": answer.status_code,
                "headers": [*answer.headers.items()],
                "body": b64encode(answer.get_body()).decode(),
            }
        case "queue":
            await act(message=_message(given))
        case _:
            await act(timer=_timer(given))
    return {}


async def _serve(functions: dict[str, Any]) -> None:
    loop = asyncio.get_running_loop()
    tasks: set[asyncio.Task[None]] = set()

    async def answer(given: Json) -> None:
        try:
            result = await _invoke(functions, given)
        except Exception as error:
            traceback.print_exc()
            result = {"error": f"{type(error).__name__}: {error}"}
        sys.stdout.write(json.dumps({"number": given["number"], **result}) + "\n")
        sys.stdout.flush()

    while line := await loop.run_in_executor(None, sys.stdin.readline):
        task = loop.create_task(answer(json.loads(line)))
        tasks.add(task)
        task.add_done_callback(tasks.discard)


def _main() -> None:
    # The real worker has a handler, which forwards records to the host.
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    app = runpy.run_path(str(APP / "function_app.py"))["app"]
    functions = {each.get_function_name(): each.get_user_function() for each in app.get_functions()}
    sys.stdout.write(json.dumps({"functions": sorted(functions)}) + "\n")
    sys.stdout.flush()
    asyncio.run(_serve(functions))
    os._exit(0)  # no invocation is waited for: the host is gone


if __name__ == "__main__":
    _main()
