"""Exceptions of libraries as causes of ours: their texts repeat what a server wrote."""

from collections.abc import Iterator, Sequence

from teamrun.models.error_bodies import has_secret, tidy

__all__ = ["RedactedCause", "without_secrets"]


class RedactedCause(Exception):
    """An exception of a library whose text had a secret in it: its class and the rest of it."""


def without_secrets(error: Exception, secrets: Sequence[str]) -> Exception:
    """The error, or a `RedactedCause` if its traceback would show a secret.

    Args:
        error: Its causes count, too, since a traceback shows them.
        secrets: Values that must not be shown.
    """
    if not any(has_secret(str(one), secrets) for one in _chain(error)):
        return error
    return RedactedCause(f"{type(error).__name__}: {tidy(str(error), secrets)}")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
