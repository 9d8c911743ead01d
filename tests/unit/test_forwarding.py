"""Packages whose names bring their modules with them."""

import subprocess
import sys

import pytest

import teamrun.messages
from teamrun.forwarding import forwarding


def test_a_name_is_that_of_its_module() -> None:
    from teamrun.messages.chat import TextMessage

    assert teamrun.messages.TextMessage is TextMessage


def test_an_unknown_name_is_reported_with_its_package() -> None:
    find, _ = forwarding("teamrun.messages", {".chat": ("TextMessage",)})

    with pytest.raises(AttributeError) as refused:
        find("TextMassage")

    assert "'teamrun.messages'" in str(refused.value)
    assert "'TextMassage'" in str(refused.value)


def test_a_module_without_names_is_forwarded_itself() -> None:
    import teamrun.teams.state

    find, names = forwarding("teamrun.teams", {".state": ()})

    assert find("state") is teamrun.teams.state
    assert "state" in names()


@pytest.mark.parametrize(
    "package",
    [
        "agents",
        "conditions",
        "context",
        "memory",
        "messages",
        "models",
        "teams",
        "testing",
        "tools",
    ],
)
def test_a_package_imports_none_of_its_modules_but_lists_their_names(package: str) -> None:
    program = f"""
import sys
import teamrun.{package} as package
assert not [name for name in sys.modules if name.startswith("teamrun.{package}.")]
assert set(package.__all__) <= set(dir(package))
assert all(getattr(package, name) is not None for name in package.__all__)
"""
    subprocess.run([sys.executable, "-c", program], check=True)
