"""The settings of `teamrun serve`, and the port that it listens on."""

import errno
import socket
import sys

from pydantic import Field

from teamrun.errors import UsageError
from teamrun.settings import CommonSettings

__all__ = ["ServeSettings", "check_port", "with_port"]


class ServeSettings(CommonSettings):
    """The settings of `teamrun serve` and its children."""

    host: str = "127.0.0.1"
    """The address of the HTTP API."""

    port: int = Field(default=8080, ge=0, le=65_535)
    """The port of the HTTP API; 0 takes a free one."""

    grace_seconds: float = Field(default=5.0, ge=0, le=3600)
    """Time for calls in progress to complete at the end."""

    @property
    def url(self) -> str:
        """The URL of the API for clients on this machine."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"


def with_port(settings: ServeSettings) -> ServeSettings:
    """The settings, with the number of a free port in place of 0.

    It is chosen here and not by the API, so that an API which is started again has the same URL.
    """
    if settings.port != 0:
        return settings
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as probe:
        try:
            probe.bind((settings.host, 0))
        except OSError:
            return settings  # `serve` reports the address
        return settings.model_copy(update={"port": probe.getsockname()[1]})


def check_port(settings: ServeSettings) -> None:
    """Check that the service can listen.

    Raises:
        UsageError: The port is in use or not allowed, or the address is not of this machine.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as probe:
        if sys.platform != "win32":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise UsageError(_port_fault(error, host=settings.host, port=settings.port)) from error


def _port_fault(error: OSError, *, host: str, port: int) -> str:
    """Why nothing can listen there, and what to do about it."""
    if error.errno == errno.EADDRINUSE:
        return (
            f"Port {port} is already in use on {host}. Stop the program that uses it, or choose "
            "another port with --port or TEAMRUN_PORT."
        )
    if error.errno == errno.EACCES:
        return f"Port {port} needs more rights. Choose one above 1023 with --port or TEAMRUN_PORT."
    return (
        f"{host} is not an address of this machine ({error.strerror}). Choose another one with "
        "--host or TEAMRUN_HOST."
    )
