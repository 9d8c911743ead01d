import pytest
from tests.support.figures import Figures, figures_of


@pytest.fixture(scope="session")
def figures(pytestconfig: pytest.Config) -> Figures:
    return figures_of(pytestconfig)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    if lines := figures_of(config).lines:
        terminalreporter.section("figures")
        for line in lines:
            terminalreporter.line(line)
