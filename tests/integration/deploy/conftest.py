"""The packages of functions are built once for all tests of this folder."""

from pathlib import Path

import pytest
from tests.support.function_packages import Packages, build_packages, runtime_site


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Packages:
    return build_packages(tmp_path_factory.mktemp("lambda"))


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return runtime_site(tmp_path_factory.mktemp("runtime") / "site")
