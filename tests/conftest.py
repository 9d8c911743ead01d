"""Every test starts without the variables of whoever runs it, and reaches this machine only."""

import os
import socket
from collections.abc import Generator
from typing import Any

import pytest

OURS = ("TEAMRUN_", "OPENAI_", "AZURE_", "AWS_")


@pytest.fixture(autouse=True)
def clean_environ(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(OURS):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True, scope="session")
def loopback_only() -> Generator[None]:
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            host = str(address[0])
            if host not in {"127.0.0.1", "::1", "localhost", "0.0.0.0"}:
                raise AssertionError(f"a test tried to reach {host}")
        connect(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded)
        yield
