"""Checks before a command becomes another process."""

import pytest

from teamrun.cli import hand_over
from teamrun.cli.serving.settings import ServeSettings, with_port
from teamrun.errors import MissingPackage


@pytest.mark.parametrize(
    ("absent", "extra"),
    [({"api"}, "api"), ({"worker"}, "worker"), ({"api", "worker"}, "api,worker")],
)
def test_one_command_installs_every_extra_that_is_missing(
    monkeypatch: pytest.MonkeyPatch, absent: set[str], extra: str
) -> None:
    packages = {
        each: ("no-such-package",) if each in absent else ("pydantic",)
        for each in ("api", "worker")
    }
    monkeypatch.setattr(hand_over, "_PACKAGES", packages)

    with pytest.raises(MissingPackage) as raised:
        hand_over.check_packages("api", "worker", command="serve")

    assert raised.value.data["extra"] == extra
    assert f"[{extra}]" in str(raised.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_port_0_is_a_free_port_that_stays(host: str) -> None:
    settings = with_port(ServeSettings(host=host, port=0))

    assert settings.port > 0
    assert settings.url.endswith(f":{settings.port}")
    assert with_port(settings) == settings
