"""The S3 configuration in the environment and in the AWS profile files.

obstore only reads variables. Profiles with static keys are read here. For the others (SSO, an
assumed role, a process), boto3 is used if it is installed.
Source: https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from teamrun.core.optional import require
from teamrun.errors import UsageError

if TYPE_CHECKING:
    from obstore.auth.boto3 import Boto3CredentialProvider

__all__ = ["AwsProfile", "aws_endpoint", "boto3_credentials", "read_profile"]

_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
_OTHER_SOURCES = ("sso_session", "sso_start_url", "role_arn", "credential_process", "login_session")


class AwsProfile(NamedTuple):
    """One profile; fields that it does not set are None."""

    name: str
    access_key_id: str | None = None
    secret_access_key: str | None = None
    session_token: str | None = None
    region: str | None = None
    endpoint: str | None = None
    needs_boto3: bool = False
    """Whether its credentials are not in the files."""


def aws_endpoint(environ: Mapping[str, str]) -> str | None:
    """The S3 endpoint in the environment."""
    return next((value for name in _ENDPOINTS if (value := environ.get(name))), None)


def read_profile(environ: Mapping[str, str]) -> AwsProfile | None:
    """The profile that `AWS_PROFILE` names, or `default`; None without either.

    Raises:
        UsageError: The named profile does not exist, or a file cannot be read.
    """
    asked = environ.get("AWS_PROFILE") or environ.get("AWS_DEFAULT_PROFILE")
    name = asked or "default"
    home = _home(environ)
    credentials = _sections(environ, "AWS_SHARED_CREDENTIALS_FILE", home / ".aws/credentials")
    config = _sections(environ, "AWS_CONFIG_FILE", home / ".aws/config")
    in_config = config.get(name if name == "default" else f"profile {name}")
    in_credentials = credentials.get(name)
    if in_config is None and in_credentials is None:
        if asked:
            raise UsageError(
                f"AWS_PROFILE is {asked!r}, but the AWS files have no such profile: correct it, or "
                "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
                setting="store",
                profile=asked,
            )
        return None
    values = {**(in_config or {}), **(in_credentials or {})}
    return AwsProfile(
        name=name,
        access_key_id=values.get("aws_access_key_id"),
        secret_access_key=values.get("aws_secret_access_key"),
        session_token=values.get("aws_session_token"),
        region=values.get("region"),
        endpoint=values.get("endpoint_url"),
        needs_boto3="aws_access_key_id" not in values
        and any(source in values for source in _OTHER_SOURCES),
    )


def boto3_credentials(profile: AwsProfile) -> "Boto3CredentialProvider":
    """The credentials of a profile without static keys; boto3 renews them.

    Raises:
        MissingPackage: boto3 is not installed.
        UsageError: The profile has no credentials.
    """
    require("boto3", extra="bedrock", needed_by=f"The AWS profile {profile.name!r}", lowest=(1, 40))
    import boto3
    from botocore.exceptions import BotoCoreError
    from obstore.auth.boto3 import Boto3CredentialProvider

    try:
        return Boto3CredentialProvider(boto3.Session(profile_name=profile.name))
    except (BotoCoreError, ValueError) as error:
        raise UsageError(
            f"The AWS profile {profile.name!r} has no credentials ({type(error).__name__}): "
            "sign in again, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
            setting="store",
        ) from error


def _home(environ: Mapping[str, str]) -> Path:
    """The home folder, or a place with no files if none is known, as for a user without a name."""
    try:
        return Path(environ.get("HOME") or environ.get("USERPROFILE") or "~").expanduser()
    except RuntimeError:
        return Path(os.devnull)


def _sections(
    environ: Mapping[str, str], variable: str, default: Path
) -> Mapping[str, Mapping[str, str]]:
    try:
        path = Path(environ.get(variable) or default).expanduser()
    except RuntimeError:
        raise UsageError(
            f"{variable}: the home folder (~) is unknown; write an absolute path.",
            setting="store",
        ) from None
    try:
        return _parsed(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return {}
    except (ValueError, OSError):
        # Without the parser's message, which would repeat lines of a file of secrets.
        raise UsageError(
            f"{variable.removeprefix('AWS_')} cannot be read: {str(path)!r} is not a valid file "
            "of AWS profiles.",
            setting="store",
            path=str(path),
        ) from None


def _parsed(text: str) -> Mapping[str, Mapping[str, str]]:
    from configparser import ConfigParser, Error  # a function in AWS has no such file

    parser = ConfigParser(interpolation=None, strict=False, default_section="")
    try:
        parser.read_string(text)
    except Error as error:
        raise ValueError from error
    return {name: dict(parser[name]) for name in parser.sections()}
