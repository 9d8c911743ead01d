"""URLs that may contain a password: how they are checked and shown; and segments of their paths."""

import re
from urllib.parse import quote, urlsplit

from teamrun.errors import UsageError

__all__ = ["http_url_fault", "path_segment", "public_url"]

_UNSAFE = re.compile(r"[/\\\x00-\x1f\x7f]")


def http_url_fault(url: str) -> str | None:
    """Why a text is not a valid URL of an HTTP server; None if it is valid.

    The result is the rest of a sentence and contains no part of the URL.
    """
    if re.match(r"https?://", url.strip(), re.IGNORECASE) is None:
        return "must begin with http:// or https://"
    try:
        parts = urlsplit(url.strip())
        host, _ = parts.hostname, parts.port  # a port beyond 65535 raises
    except ValueError:
        host = None
    if not host or re.search(r"[\x00-\x20\x7f]", url.strip()):
        return (
            "is malformed: write https://host:port/path, and percent-encode special characters in "
            "a user name or a password"
        )
    return None


def public_url(url: str) -> str:
    """The URL without user name, password, query and fragment, for messages and logs.

    It accepts any text, because a mistyped URL must also be shown. If an `@` follows a `?` or a
    `#`, either side may be secret, and only the scheme is shown.
    """
    scheme, separator, rest = url.strip().rpartition("://")
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]{0,20}", scheme):
        scheme = separator = ""
    head, _, tail = re.sub("[#]", "?", rest).partition("?")
    if "@" in tail:
        return f"{scheme}{separator}..."
    return f"{scheme}{separator}{head.rpartition('@')[2]}"


def path_segment(text: str) -> str:
    """The text as one segment of a URL's path, percent-encoded (RFC 3986, 3.3).

    Raises:
        UsageError: The text would change the path: it is empty, `.` or `..`, or contains a slash,
            which servers decode before they resolve the path.
    """
    if text in {"", ".", ".."} or _UNSAFE.search(text):
        raise UsageError(
            f"{text!r} cannot be part of a path: an id is not empty, '.' or '..', and contains no "
            "slash and no control character. `teamrun runs` lists the ids of runs."
        )
    return quote(text, safe="")
