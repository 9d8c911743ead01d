"""AutoGen's client of Claude on Amazon Bedrock, for its scripts: our client of Bedrock."""

from typing import Any, TypedDict

from teamrun.json_types import JsonObject
from teamrun.models.bedrock.client import BedrockChatCompletionClient

__all__ = ["AnthropicBedrockChatCompletionClient", "BedrockInfo"]


class BedrockInfo(TypedDict, total=False):
    """Where and with which credentials Bedrock is called."""

    aws_access_key: str
    aws_secret_key: str
    aws_session_token: str
    aws_region: str


class AnthropicBedrockChatCompletionClient(BedrockChatCompletionClient):
    """Claude on Bedrock with AutoGen's arguments.

    Args:
        model: The id of a model or inference profile.
        bedrock_info: Region and credentials; without keys, credentials come from the AWS SDK's
            own sources.
        thinking: How the model thinks before it answers.
        top_k: The number of tokens among which the model chooses.
        stop_sequences: Texts that end an answer.
        options: The other arguments of `BedrockChatCompletionClient`.

    Raises:
        UsageError: An argument is missing, unknown or of the wrong type.
        MissingPackage: boto3 is not installed.
    """

    component_provider_override = (
        "autogen_ext.models.anthropic.AnthropicBedrockChatCompletionClient"
    )

    def __init__(
        self,
        *,
        model: str,
        bedrock_info: BedrockInfo | None = None,
        thinking: JsonObject | None = None,
        top_k: int | None = None,
        stop_sequences: list[str] | None = None,
        **options: Any,
    ) -> None:
        info = bedrock_info or {}
        own = {"thinking": thinking, "top_k": top_k}
        fields = {name: value for name, value in own.items() if value is not None}
        if fields:
            more: JsonObject = options.get("additional_model_request_fields") or {}
            options["additional_model_request_fields"] = {**more, **fields}
        if stop_sequences is not None:
            options["stop"] = stop_sequences
        access_key, secret_key = info.get("aws_access_key"), info.get("aws_secret_key")
        if access_key and secret_key:
            from teamrun.models.bedrock.connection import AwsKeys  # loads the SDK

            token = info.get("aws_session_token") or None
            options["aws_keys"] = AwsKeys(access_key, secret_key, token)
        super().__init__(model, info.get("aws_region"), **options)
