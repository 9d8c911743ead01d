"""The parser of the URLs of queues in a cloud; `open.py` opens a queue with the result."""

import re
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from teamrun.dispatch.queues import Queue
from teamrun.errors import UsageError

__all__ = ["QueueAddress", "read_queue_url", "scheme_of"]

_OPTIONS: Final = {
    "sqs": frozenset({"endpoint", "region"}),
    "azq": frozenset({"account", "endpoint"}),
}

_NAMES: Final = {
    # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-queues.html
    "sqs": (re.compile(r"[A-Za-z0-9_-]{1,64}"), "1 to 64 letters, digits, - or _"),
    # https://learn.microsoft.com/rest/api/storageservices/naming-queues-and-metadata
    "azq": (
        re.compile(r"[a-z0-9](?:-?[a-z0-9]){0,43}"),
        "1 to 44 lower-case letters and digits, with single - between them",
    ),
}


class QueueAddress(NamedTuple):
    """The address of the queues of a deployment, without credentials."""

    scheme: str
    prefix: str
    """The part that the names of its queues have in common."""
    options: dict[str, str]

    def name_of(self, queue: Queue) -> str:
        """The name of a queue in the cloud."""
        return f"{self.prefix}-{queue}"


def scheme_of(url: str) -> str:
    """The scheme of a URL, in lower case; empty if it has none."""
    return url.partition("://")[0].lower() if "://" in url else ""


def read_queue_url(url: str, *, setting: str = "queue_url") -> QueueAddress:
    """Read `sqs://PREFIX?region=...&endpoint=...` or `azq://PREFIX?account=...&endpoint=...`.

    Args:
        url: The URL.
        setting: The name of the setting that it comes from, for the error.

    Raises:
        UsageError: The URL is invalid. The message never contains a part that could be secret.
    """
    try:
        return _read(url)
    except _Invalid as error:
        reason = str(error)
    # Outside of `except`: the errors of the standard library repeat parts of the URL.
    raise UsageError(
        f"The queue URL (TEAMRUN_{setting.upper()}) is invalid: {reason}.", setting=setting
    )


class _Invalid(Exception):
    """The URL is invalid; the text is the reason, without any part that could be secret."""


def _read(url: str) -> QueueAddress:
    scheme = scheme_of(url)
    if scheme not in _OPTIONS:
        raise _Invalid(f"its scheme is none of {', '.join(sorted(_OPTIONS))}")
    try:
        parts = urlsplit(url)
    except ValueError:
        raise _Invalid(f"it is malformed: write {scheme}://PREFIX") from None
    if "@" in parts.netloc:
        raise _Invalid("it contains credentials: remove them; they come from the environment")
    pattern, rule = _NAMES[scheme]
    if not pattern.fullmatch(parts.netloc) or parts.path.strip("/") or parts.fragment:
        raise _Invalid(
            f"write {scheme}://PREFIX, where PREFIX is what the names of the queues begin with: "
            f"{rule}"
        )
    return QueueAddress(scheme, parts.netloc, _options(scheme, parts.query))


def _options(scheme: str, query: str) -> dict[str, str]:
    options: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in _OPTIONS[scheme] or name in options:
            known = ", ".join(sorted(_OPTIONS[scheme]))
            raise _Invalid(
                f"its options are {known}, each once; credentials come from the environment"
            )
        options[name] = value
    for name in ("account", "region"):
        if not re.fullmatch("[A-Za-z0-9_-]{1,64}", options.get(name, "x")):
            raise _Invalid(f"the option {name!r} must be 1 to 64 letters, digits, - or _")
    if not re.fullmatch(r"https?://[^/?#@\s]+(/[!->A-~]*)?", options.get("endpoint", "https://x")):
        raise _Invalid(
            "the option 'endpoint' must be http:// or https:// and a server, without credentials "
            "and without a query"
        )
    return options
