import re
from datetime import timedelta
from pathlib import Path

import pytest

from teamrun.errors import UsageError
from teamrun.settings import VARIABLES, CommonSettings, load_settings, unknown_variables


def test_the_store_is_by_default_in_the_data_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert load_settings(CommonSettings).store_url == (tmp_path / ".teamrun/store").as_uri()
    assert load_settings(CommonSettings, data_dir="/a b").store_url == "file:///a%20b/store"
    assert load_settings(CommonSettings, store_url="s3://b/p").store_url == "s3://b/p"


def test_given_values_take_precedence_over_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TEAMRUN_LEASE_SECONDS", "5")
    monkeypatch.setenv("TEAMRUN_CONFIG", "other.yaml")

    settings = load_settings(CommonSettings, config=Path("mine.yaml"), lease_seconds=None)

    assert settings.lease == timedelta(seconds=5)
    assert settings.config == Path("mine.yaml")


def test_an_empty_variable_is_no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEAMRUN_REDIS_URL", "")

    assert load_settings(CommonSettings).redis_url is None


def test_a_wrong_value_is_an_error_that_names_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEAMRUN_LEASE_SECONDS", "soon")
    monkeypatch.setenv("TEAMRUN_LOG_LEVEL", "loud")

    with pytest.raises(UsageError) as caught:
        load_settings(CommonSettings)
    assert caught.value.data == {"settings": ["TEAMRUN_LEASE_SECONDS", "TEAMRUN_LOG_LEVEL"]}


def test_a_password_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEAMRUN_REDIS_URL", "redis://:hush@127.0.0.1")

    assert "hush" not in repr(load_settings(CommonSettings))


def test_a_variable_that_no_setting_has_is_named_with_the_nearest() -> None:
    [fault] = unknown_variables({"TEAMRUN_REDIS_URI": "x", "TEAMRUN_PORT": "1", "HOME": "/"})

    assert "TEAMRUN_REDIS_URI" in fault
    assert "TEAMRUN_REDIS_URL" in fault


def test_every_setting_of_the_reference_is_known() -> None:
    folder = Path(__file__).parents[2] / "docs/reference"
    pages = ((folder / name).read_text(encoding="utf-8") for name in ("settings.md", "cli.md"))
    named = {name for page in pages for name in re.findall(r"TEAMRUN_[A-Z_]*[A-Z]", page)}

    assert named - VARIABLES == set(), "add them to _NAMES in teamrun/settings.py"


def test_a_tilde_in_a_folder_is_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    monkeypatch.setenv("TEAMRUN_DATA_DIR", "~/runs")

    settings = load_settings(CommonSettings)

    assert settings.data_dir == Path("/home/ann/runs")
    assert settings.store_url == "file:///home/ann/runs/store"
