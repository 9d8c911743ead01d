"""What tests of Bedrock's client share."""

import pytest

__all__ = ["CLAUDE", "KEY_ID", "SECRET", "TOKEN", "use_keys"]

CLAUDE = "us.anthropic.claude-sonnet-4-20250514-v1:0"
KEY_ID, SECRET, TOKEN = "ASIAKEYIDOFTHETEST00", "secret-of-the-test", "session-token-of-the-test"


def use_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the AWS SDK credentials and a region."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_SESSION_TOKEN", TOKEN)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
