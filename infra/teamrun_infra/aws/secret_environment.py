"""Variables from AWS Secrets Manager: keys that the configuration of a function must not show.

A secret is a JSON object of variables: `{"OPENAI_API_KEY": "...", "TEAMRUN_API_KEYS": [...]}`. They
are put into the environment before the settings are read. All are checked before any is changed.
"""

import asyncio
import json
import logging
import os
import re
import time
from collections.abc import Callable, MutableMapping
from contextlib import closing
from datetime import timedelta
from typing import Any, Final, cast

from teamrun.core.optional import require
from teamrun.errors import UsageError

__all__ = ["VARIABLE", "SecretEnvironment"]

logger = logging.getLogger(__name__)

VARIABLE: Final = "TEAMRUN_SECRET_ENV"
"""The variable with the ARNs or names of the secrets, separated by commas."""

_FRESH: Final = timedelta(minutes=5)
"""How long an instance uses what it has read: the time after which it has a rotated key."""
_USABLE: Final = timedelta(hours=1)
"""How long it uses that if the secrets cannot be read again. A limit is needed: what it has may
contain a key that was revoked."""
_NAME: Final = re.compile("[A-Za-z_][A-Za-z0-9_]{0,255}")
_ARN: Final = re.compile("arn:[^:]+:secretsmanager:(?P<region>[^:]+):")


class SecretEnvironment:
    """Copies secrets into the environment.

    Args:
        environ: The environment of the process.
        fresh: How long secrets are used before they are read again.
        usable: How long they are used if they cannot be read again.
        clock: The time in seconds, which goes on while the instance is frozen.
    """

    def __init__(
        self,
        environ: MutableMapping[str, str],
        *,
        fresh: timedelta = _FRESH,
        usable: timedelta = _USABLE,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._environ = environ
        self._fresh_s = fresh.total_seconds()
        self._usable_s = usable.total_seconds()
        self._clock = clock
        self._read_at: float | None = None
        self._tried_at: float | None = None
        self._variables: dict[str, str] = {}

    async def renew(self) -> bool:
        """Read the secrets, if that was not done lately; whether a variable has changed.

        If they cannot be read again, or one is unusable, nothing changes: the instance goes on with
        what it has, for a limited time.

        Raises:
            UsageError: They cannot be read, or one is unusable: for the first time, or for longer
                than what the instance has is usable.
        """
        now = self._clock()
        if self._tried_at is not None and now - self._tried_at < self._fresh_s:
            return False
        names = [name.strip() for name in self._environ.get(VARIABLE, "").split(",")]
        try:
            found = await asyncio.to_thread(_read, [name for name in names if name])
        except UsageError as error:
            if self._read_at is None or now - self._read_at >= self._usable_s:
                raise
            self._tried_at = now
            logger.warning(
                "The secrets could not be read again; the instance uses those it has",
                extra={"action": "function.secrets_stale", "error": str(error)},
            )
            return False
        self._read_at = self._tried_at = now
        before, self._variables = self._variables, found
        for name in before.keys() - found.keys():
            self._environ.pop(name, None)
        self._environ.update(found)
        return found != before


def _read(names: list[str]) -> dict[str, str]:
    variables: dict[str, str] = {}
    for name in names:
        variables |= _variables(_secret(name), name)
    return variables


def _secret(name: str) -> str:
    require("boto3", extra="aws", needed_by=VARIABLE, lowest=(1, 40))
    from boto3.session import Session
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    in_arn = _ARN.match(name)
    region = in_arn["region"] if in_arn else os.environ.get("AWS_REGION")
    config = Config(connect_timeout=2, read_timeout=5, retries={"total_max_attempts": 3})
    try:
        session: Any = Session(region_name=region)
        with closing(session.client("secretsmanager", config=config)) as client:
            return client.get_secret_value(SecretId=name)["SecretString"]
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "unknown")
        raise UsageError(
            f"The secret {name!r} ({VARIABLE}) cannot be read ({code}): correct its name, and "
            "allow secretsmanager:GetSecretValue in the policy of the function's role.",
            setting="secret_env",
        ) from error
    except BotoCoreError as error:
        raise UsageError(
            f"The secret {name!r} ({VARIABLE}) cannot be read ({type(error).__name__}): check the "
            "region, the network and the role of the function.",
            setting="secret_env",
        ) from error
    except KeyError:
        raise UsageError(
            f"The secret {name!r} ({VARIABLE}) is binary: store a JSON object of variables.",
            setting="secret_env",
        ) from None


def _variables(text: str, name: str) -> dict[str, str]:
    try:
        document: Any = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    # Outside of `except`: the error of the parser has the secret as an attribute.
    if not isinstance(document, dict):
        raise UsageError(
            f"The secret {name!r} ({VARIABLE}) is not a JSON object of variables.",
            setting="secret_env",
        )
    found: dict[str, str] = {}
    for variable, value in cast("dict[str, Any]", document).items():
        if not _NAME.fullmatch(variable):
            raise UsageError(
                f"The secret {name!r} ({VARIABLE}) has a key that is not the name of a variable.",
                setting="secret_env",
            )
        found[variable] = _text(value, variable, name)
    return found


def _text(value: object, variable: str, name: str) -> str:
    where = f"The variable {variable} of the secret {name!r} ({VARIABLE})"
    # A float may have lost digits, and the text "null" or "true" is hardly what is meant.
    if not isinstance(value, str | int | list | dict) or isinstance(value, bool):
        raise UsageError(
            f"{where} is null, true, false or a number with a fraction: store a text, an integer, "
            "a list or an object.",
            setting="secret_env",
        )
    text = value if isinstance(value, str) else json.dumps(value)
    if not _is_storable(text):
        raise UsageError(
            f"{where} has a character that an environment cannot hold, U+0000 or half of a "
            "surrogate pair: remove it.",
            setting="secret_env",
        )
    return text


def _is_storable(text: str) -> bool:
    # Not in the caller: this error has the secret as an attribute, too.
    try:
        return b"\0" not in text.encode("utf-8")
    except UnicodeEncodeError:
        return False
