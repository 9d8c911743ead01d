"""The worker from its import to the end of the first run, with nothing on the path but its package.

`BENCH_MESSAGES` is a folder of files named after a reference of a run; each sample takes one.
"""

import json
import os
from pathlib import Path

from teamrun_infra.aws.worker import handler


class Context:
    def get_remaining_time_in_millis(self) -> int:
        return 900_000


message = next(Path(os.environ["BENCH_MESSAGES"]).iterdir())
message.unlink()
record = {
    "messageId": "message",
    "receiptHandle": "receipt",
    "body": json.dumps([message.name]),
    "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:teamrun-interactive",
}
assert handler({"Records": [record]}, Context()) == {"batchItemFailures": []}
