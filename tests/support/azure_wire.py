"""What Azure refuses before a model is called, with its own words.

Source: https://learn.microsoft.com/azure/foundry/openai/api-version-lifecycle, and the answers that
users report (pydantic-ai issue 5066, openai-python issue 1397).
"""

from typing import Any
from urllib.parse import parse_qs, urlsplit

__all__ = ["azure_refusal"]


def azure_refusal(path: str, headers: dict[str, Any]) -> tuple[int, dict[str, Any]] | None:
    """Status and body of the refusal; None for a request that is accepted or is not Azure's."""
    url = urlsplit(path)
    versions = parse_qs(url.query).get("api-version", [])
    if not url.path.startswith("/openai/"):
        return None
    if not headers.get("api-key") and not headers.get("authorization", "").startswith("Bearer "):
        message = (
            "Unauthorized. Access token is missing, invalid, audience is incorrect "
            "(https://cognitiveservices.azure.com), or have expired."
        )
        return 401, {"statusCode": 401, "message": message}
    if url.path == "/openai/v1/chat/completions":
        if set(versions) - {"preview"}:
            message = "api-version query parameter is not allowed when using /v1 path"
            return 400, {"error": {"code": "BadRequest", "message": message}}
        return None
    parts = url.path.split("/")
    is_deployment = parts[2] == "deployments" and parts[4:] == ["chat", "completions"]
    if not is_deployment or len(versions) != 1 or not versions[0][:4].isdecimal():
        return 404, {"error": {"code": "404", "message": "Resource not found"}}
    return None
