"""What tests of Bedrock's client share."""

from collections.abc import Generator
from contextlib import contextmanager
from functools import cache

import botocore.session
import pytest

__all__ = ["CLAUDE", "KEY_ID", "SECRET", "TOKEN", "shared_data_files", "use_keys"]

CLAUDE = "us.anthropic.claude-sonnet-4-20250514-v1:0"
KEY_ID, SECRET, TOKEN = "ASIAKEYIDOFTHETEST00", "secret-of-the-test", "session-token-of-the-test"


def use_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the AWS SDK credentials and a region."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_SESSION_TOKEN", TOKEN)
    monkeypatch.setenv("AWS_REGION", "us-east-1")


@contextmanager
def shared_data_files() -> Generator[None]:
    """All sessions of the AWS SDK share what they read from its data files.

    Each session would read and parse them again, which takes 150 ms.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.session, "create_loader", cache(botocore.session.create_loader))
        yield
