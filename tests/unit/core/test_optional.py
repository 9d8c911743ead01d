"""Packages that only some features need."""

import pytest

from teamrun.core.optional import require
from teamrun.errors import MissingPackage


def test_a_package_that_is_there_passes_by_the_name_of_its_distribution() -> None:
    require("pydantic", extra="x", needed_by="this test", lowest=(2, 0))
    require("pydantic-core", extra="x", needed_by="this test")
    require("azure-identity", extra="azure", needed_by="this test")


@pytest.mark.parametrize("package", ["no-such-package", "nosuch.package", "azure-nothing"])
def test_a_package_that_is_absent_is_named_with_the_line_that_installs_it(package: str) -> None:
    with pytest.raises(MissingPackage) as raised:
        require(package, extra="bedrock", needed_by="BedrockClient")
    assert str(raised.value) == (
        f'BedrockClient needs the package {package!r}: pip install "teamrun[bedrock]"'
    )
    assert raised.value.data == {"package": package, "extra": "bedrock"}


def test_a_package_that_is_too_old_is_named_with_the_version_that_is_needed() -> None:
    with pytest.raises(MissingPackage, match=r"needs 'pydantic' 99\.1 or newer, not 2\."):
        require("pydantic", extra="x", needed_by="This", lowest=(99, 1))
