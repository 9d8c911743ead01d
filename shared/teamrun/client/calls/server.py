"""Calls about the server itself."""

from teamrun.client.building import get, json_of, path_of
from teamrun.client.requests import Reply, Request
from teamrun.resources import Health, Info, Readiness

__all__ = ["health", "info", "metrics", "readiness"]

_HEALTH = json_of(Health)
_INFO = json_of(Info)
_READINESS = json_of(Readiness)


def info() -> Request[Info]:
    """Read the server's version, limits and capabilities."""
    return get(path_of("info"), _INFO)


def health() -> Request[Health]:
    """Whether the process responds. It is not retried."""
    return get("/healthz", _HEALTH, is_probe=True)


def readiness() -> Request[Readiness]:
    """Whether the server can serve requests. It is not retried.

    Raises:
        ServiceUnavailableError: It cannot; `errors` names what does not respond.
    """
    return get("/readyz", _READINESS, is_probe=True)


def metrics() -> Request[str]:
    """Read the counters of the API process, in the text format of Prometheus."""
    return get("/metrics", _text, headers={"Accept": "text/plain"})


def _text(reply: Reply) -> str:
    return reply.text
