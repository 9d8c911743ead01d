"""Settings of the functions on AWS Lambda, from `TEAMRUN_*` variables."""

from teamrun.settings import CommonSettings

__all__ = ["FunctionSettings"]


class FunctionSettings(CommonSettings):
    """Settings of a function that executes runs; that of the API has `ApiSettings` besides."""

    secret_env: str | None = None
    """Secrets of AWS Secrets Manager, by ARN or name, separated by commas. Each is a JSON object of
    variables, such as `TEAMRUN_API_KEYS` or the keys of model providers. A function puts them into
    its environment when it starts, and reads them again every five minutes. If that fails, it
    uses those it has for up to an hour."""
