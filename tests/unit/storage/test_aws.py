"""The profile files and variables of the AWS tools."""

from pathlib import Path

import pytest

from teamrun.errors import UsageError
from teamrun.storage.aws import AwsProfile, aws_endpoint, read_profile

CREDENTIALS = """\
[default]
aws_access_key_id = D
aws_secret_access_key = HUNTER2%
[dev]
aws_access_key_id = K
aws_secret_access_key = S
aws_session_token = T
"""
CONFIG = """\
[profile dev]
region = eu-central-1
endpoint_url = http://127.0.0.1:9000
[profile sso]
sso_session = corp
sso_account_id = 1
[sso-session corp]
sso_start_url = https://example.org
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/credentials").write_text(CREDENTIALS, encoding="utf-8")
    (tmp_path / ".aws/config").write_text(CONFIG, encoding="utf-8")
    return tmp_path


def test_a_profile_is_read_from_both_files(home: Path) -> None:
    assert read_profile({"HOME": str(home), "AWS_PROFILE": "dev"}) == AwsProfile(
        name="dev",
        access_key_id="K",
        secret_access_key="S",
        session_token="T",
        region="eu-central-1",
        endpoint="http://127.0.0.1:9000",
    )


def test_keys_of_the_credentials_file_win_and_a_section_default_is_a_profile_like_any_other(
    home: Path,
) -> None:
    with (home / ".aws/config").open("a", encoding="utf-8") as file:
        file.write("[profile both]\naws_access_key_id = C\n[DEFAULT]\nregion = nowhere\n")
    with (home / ".aws/credentials").open("a", encoding="utf-8") as file:
        file.write("[both]\naws_access_key_id = K\n")

    found = read_profile({"HOME": str(home), "AWS_PROFILE": "both"})

    assert found == AwsProfile(name="both", access_key_id="K")


def test_without_a_name_it_is_the_default_profile_or_none(home: Path, tmp_path: Path) -> None:
    found = read_profile({"HOME": str(home)})

    assert found is not None
    assert (found.name, found.access_key_id, found.needs_boto3) == ("default", "D", False)
    assert read_profile({"HOME": str(tmp_path / "nobody")}) is None


def test_a_profile_that_is_more_than_keys_needs_boto3(home: Path) -> None:
    found = read_profile({"HOME": str(home), "AWS_PROFILE": "sso"})

    assert found is not None
    assert found.needs_boto3


def test_a_profile_that_does_not_exist_is_named(home: Path) -> None:
    with pytest.raises(UsageError) as caught:
        read_profile({"HOME": str(home), "AWS_PROFILE": "prod"})
    assert caught.value.data == {"setting": "store", "profile": "prod"}


def test_a_file_that_is_no_profile_file_is_named_and_not_quoted(home: Path) -> None:
    (home / ".aws/credentials").write_text("aws_secret_access_key HUNTER2\n", encoding="utf-8")

    with pytest.raises(UsageError) as caught:
        read_profile({"HOME": str(home), "AWS_PROFILE": "dev"})
    assert caught.value.data["path"] == str(home / ".aws/credentials")
    assert "HUNTER2" not in str(caught.value)


@pytest.mark.parametrize(
    ("environ", "endpoint"),
    [
        ({}, None),
        ({"AWS_ENDPOINT_URL": "http://a"}, "http://a"),
        ({"AWS_ENDPOINT_URL": "http://a", "AWS_ENDPOINT_URL_S3": "http://b"}, "http://b"),
    ],
)
def test_the_endpoint_for_s3_comes_first(environ: dict[str, str], endpoint: str | None) -> None:
    assert aws_endpoint(environ) == endpoint


def test_a_file_of_an_unknown_user_is_refused_by_its_variable() -> None:
    with pytest.raises(UsageError) as caught:
        read_profile({"HOME": "/", "AWS_CONFIG_FILE": "~nobody-of-this-name/config"})
    assert caught.value.data["setting"] == "store"
