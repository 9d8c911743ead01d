"""AutoGen's client of Claude on Bedrock, on a server of ours."""

import json

import pytest
from tests.support.bedrock import CLAUDE, shared_data_files
from tests.support.model_server import ModelServer

from teamrun.compat.autogen.claude_on_bedrock import (
    AnthropicBedrockChatCompletionClient,
    BedrockInfo,
)
from teamrun.messages import UserMessage
from teamrun.models import BedrockChatCompletionClient

INFO: BedrockInfo = {
    "aws_access_key": "AKIAOFTHESCRIPT00000",
    "aws_secret_key": "secret-of-the-script",
    "aws_session_token": "token-of-the-script",
    "aws_region": "eu-west-1",
}


@pytest.mark.behaviour("model.anthropic_bedrock")
async def test_its_arguments_decide_place_credentials_and_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAOFENVIRONMENT000")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-of-the-environment")
    with shared_data_files():
        async with ModelServer() as server:
            model = AnthropicBedrockChatCompletionClient(
                model=CLAUDE,
                bedrock_info=INFO,
                thinking={"type": "enabled", "budget_tokens": 1024},
                top_k=5,
                stop_sequences=["END"],
                max_tokens=4096,
                base_url=server.address,
                max_retries=0,
            )
            await model.create([UserMessage(content="Hi", source="user")])
            await model.close()
            [request] = server.requests
    assert "AKIAOFTHESCRIPT00000/" in request["headers"]["authorization"]
    assert "/eu-west-1/" in request["headers"]["authorization"]
    assert request["headers"]["x-amz-security-token"] == "token-of-the-script"
    fields = request["body"]["additionalModelRequestFields"]
    assert fields == {"thinking": {"type": "enabled", "budget_tokens": 1024}, "top_k": 5}
    inference = request["body"]["inferenceConfig"]
    assert inference == {"maxTokens": 4096, "stopSequences": ["END"]}
    dumped = model.dump_component()
    config = {k: v for k, v in (dumped.config or {}).items() if k != "base_url"}
    loaded = BedrockChatCompletionClient.load_component(
        dumped.model_copy(update={"config": config})
    )
    assert loaded.dump_component().config == config
    written = json.dumps(dumped.model_dump(mode="json")) + repr(vars(model))
    secrets = ("AKIAOFTHESCRIPT00000", "secret-of-the-script", "token-of-the-script")
    assert not [secret for secret in secrets if secret in written]
