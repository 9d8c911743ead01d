"""What pytest-xdist sends of a test from one process to the one that prints."""

from typing import Any

import pytest


def sent(config: pytest.Config, outcome: Any, longrepr: Any) -> Any:
    report = pytest.TestReport(
        nodeid="test_a.py::test_a",
        location=("test_a.py", 1, "test_a"),
        keywords={},
        outcome=outcome,
        longrepr=longrepr,
        when="setup",
    )
    data = config.hook.pytest_report_to_serializable(config=config, report=report)
    return config.hook.pytest_report_from_serializable(config=config, data=data).longrepr


def test_the_reason_of_a_skipped_test_arrives(pytestconfig: pytest.Config) -> None:
    """Pytest ends with an error when the reason is not a tuple."""
    reason = ("test_a.py", 1, "Skipped: needs Node")
    assert sent(pytestconfig, "skipped", reason) == reason


def test_lone_surrogates_arrive_escaped(pytestconfig: pytest.Config) -> None:
    assert sent(pytestconfig, "failed", "half \ud83d") == "half \\ud83d"
