"""Models of Bedrock by their ids and ARNs."""

import pytest

from teamrun.errors import UsageError
from teamrun.models import BedrockChatCompletionClient
from teamrun.models.bedrock.traits import base_id, model_info_of, region_of, traits_of

ACCOUNT = "arn:aws:bedrock:eu-west-1:123456789012"


@pytest.mark.parametrize(
    ("model_id", "family", "tools", "vision"),
    [
        ("anthropic.claude-3-haiku-20240307-v1:0", "claude", True, True),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude", True, True),
        ("global.anthropic.claude-opus-9-v1:0", "claude", True, True),
        ("us-gov.anthropic.claude-3-5-sonnet-20240620-v1:0", "claude", True, True),
        ("anthropic.claude-3-5-haiku-20241022-v1:0", "claude", True, False),
        ("anthropic.claude-v2:1", "claude", False, False),
        ("apac.amazon.nova-pro-v1:0", "nova", True, True),
        ("amazon.nova-micro-v1:0", "nova", True, False),
        ("amazon.titan-text-express-v1", "unknown", False, False),
        ("eu.meta.llama3-2-3b-instruct-v1:0", "llama", False, False),
        ("meta.llama3-1-70b-instruct-v1:0", "llama", True, False),
        ("us.meta.llama4-scout-17b-instruct-v1:0", "llama", True, True),
        ("mistral.mistral-7b-instruct-v0:2", "mistral", False, False),
        ("mistral.mistral-large-2407-v1:0", "mistral", True, False),
        ("cohere.command-r-plus-v1:0", "cohere", True, False),
        ("cohere.command-text-v14", "cohere", False, False),
        ("us.deepseek.r1-v1:0", "r1", False, False),
        ("deepseek.v3-v1:0", "deepseek", True, False),
        ("ai21.jamba-1-5-mini-v1:0", "jamba", True, False),
        ("openai.gpt-oss-120b-1:0", "gpt-oss", True, False),
        ("qwen.qwen3-coder-30b-a3b-v1:0", "qwen", True, False),
        (f"{ACCOUNT}:inference-profile/eu.amazon.nova-lite-v1:0", "nova", True, True),
        ("arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0", "nova", True, True),
        (f"{ACCOUNT}:custom-model/amazon.nova-lite-v1:0:300k/abcdef123456", "nova", True, True),
    ],
)
def test_the_capabilities_follow_from_the_id(
    model_id: str, family: str, tools: bool, vision: bool
) -> None:
    info = model_info_of(model_id)
    assert (info["family"], info["function_calling"], info["vision"]) == (family, tools, vision)


OPAQUE = [
    f"{ACCOUNT}:application-inference-profile/abcdef123456",
    f"{ACCOUNT}:provisioned-model/abcdef123456",
    f"{ACCOUNT}:imported-model/abcdef123456",
    f"{ACCOUNT}:prompt-router/abcdef123456:1",
    "arn:aws:sagemaker:us-east-1:123456789012:endpoint/mine",
    "arn:",
    "acme.model-1",
]


@pytest.mark.parametrize("model_id", OPAQUE)
def test_an_id_that_does_not_name_its_model_needs_it_beside(model_id: str) -> None:
    with pytest.raises(UsageError) as raised:
        BedrockChatCompletionClient(model_id)
    assert raised.value.data["argument"] == "base_model"
    named = BedrockChatCompletionClient(model_id, base_model="amazon.nova-lite-v1:0")
    assert named.model_info["family"] == "nova"
    info = named.model_info | {"family": "mine", "vision": False}
    described = BedrockChatCompletionClient(model_id, model_info=info)  # pyright: ignore[reportArgumentType] - the union of two dicts
    assert (described.model_info["family"], described.model_info["vision"]) == ("mine", False)


def test_the_region_of_an_arn_is_found() -> None:
    assert region_of(OPAQUE[0]) == "eu-west-1"
    assert region_of("us.amazon.nova-lite-v1:0") is None
    assert region_of("arn:") is None


def test_the_longest_prefix_decides() -> None:
    early = traits_of("anthropic.claude-sonnet-4-20250514-v1:0")
    later = traits_of("anthropic.claude-sonnet-4-5-20250929-v1:0")
    last = traits_of("anthropic.claude-sonnet-5-v1:0")
    assert early and later and last
    assert (early.schemas, later.schemas, last.schemas) == ("", "able", "first")
    assert base_id("us.amazon.nova-lite-v1:0") == "us.amazon.nova-lite-v1:0"
