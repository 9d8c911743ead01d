"""The error of a wrong argument of a model client."""

from teamrun.errors import UsageError

__all__ = ["ModelArgumentError"]


class ModelArgumentError(UsageError, ValueError):
    """An argument of a model client is missing, unknown or wrong; a ValueError as in AutoGen."""
