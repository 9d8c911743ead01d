"""The API from its import to the answer to a first request, with nothing else on the path."""

import os

from teamrun_infra.aws.api import handler


class Context:
    def get_remaining_time_in_millis(self) -> int:
        return 29_000


answer = handler(
    {
        "version": "2.0",
        "rawPath": "/v1/teams",
        "rawQueryString": "",
        "headers": {"authorization": f"Bearer {os.environ['BENCH_KEY']}"},
        "requestContext": {
            "http": {"method": "GET", "path": "/v1/teams", "sourceIp": "127.0.0.1"},
        },
        "isBase64Encoded": False,
    },
    Context(),
)
assert answer["statusCode"] == 200, answer
