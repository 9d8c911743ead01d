"""The address of a server of Ollama, in every form that `OLLAMA_HOST` may have.

Source: https://docs.ollama.com/faq#how-can-i-expose-ollama-on-my-network
"""

from typing import Final
from urllib.parse import urlsplit

from teamrun.core.urls import http_url_fault

__all__ = ["DEFAULT_HOST", "host_fault", "host_url"]

DEFAULT_HOST: Final = "http://127.0.0.1:11434"
_PORT: Final = 11434
_EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}
"""Addresses on which a server listens and that a client cannot call."""


def host_url(host: str) -> str:
    """The URL of a server: `gpu-1`, `gpu-1:8000` and `:8000` become complete ones.

    Without a scheme it is `http://`, and the port is 11434 unless there is another one; with a
    scheme, the port is the scheme's own.
    """
    host = host.strip()
    if "://" not in host:
        host = f"http://127.0.0.1{host}" if host.startswith(":") else f"http://{host}"
        host = _with_port(host)
    scheme, _, rest = host.partition("://")
    for everywhere, here in _EVERYWHERE.items():
        if rest.startswith((f"{everywhere}:", f"{everywhere}/")) or rest == everywhere:
            rest = here + rest.removeprefix(everywhere)
    return f"{scheme}://{rest.rstrip('/')}"


def host_fault(host: str) -> str | None:
    """Why the text is no address of a server, as the rest of a sentence; None if it is one."""
    url = host_url(host)
    if (fault := http_url_fault(url)) is not None:
        return fault
    if urlsplit(url).path.rstrip("/").endswith("/v1"):
        return (
            "must be the address of Ollama itself, without /v1, which is its API in OpenAI's form; "
            "remove /v1, or use the provider 'openai'"
        )
    return None


def _with_port(url: str) -> str:
    try:
        parts = urlsplit(url)
        if not parts.hostname or parts.port is not None:
            return url
    except ValueError:
        return url
    return parts._replace(netloc=f"{parts.netloc.rstrip(':')}:{_PORT}").geturl()
