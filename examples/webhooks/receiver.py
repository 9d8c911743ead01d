"""A receiver of webhooks in FastAPI.

pip install fastapi uvicorn standardwebhooks
WEBHOOK_SECRET=whsec_... uvicorn --app-dir examples/webhooks receiver:app --port 3000
"""

import os

from fastapi import FastAPI, Request, Response
from standardwebhooks import Webhook, WebhookVerificationError

app = FastAPI()
webhook = Webhook(os.environ["WEBHOOK_SECRET"])
handled: set[str] = set()  # a table with a unique index, in your service


@app.post("/hook")
async def receive(request: Request) -> Response:
    """Answer at once, and refuse what was not signed with the secret."""
    try:
        event = webhook.verify(await request.body(), dict(request.headers))
    except (WebhookVerificationError, ValueError):  # ValueError: malformed headers
        return Response(status_code=401)
    if event["id"] not in handled:  # the same event may come again
        handled.add(event["id"])
        subject = event.get("run_id") or event.get("batch_id")
        print(event["type"], subject, flush=True)  # noqa: T201 - or start your own work
    return Response(status_code=204)
