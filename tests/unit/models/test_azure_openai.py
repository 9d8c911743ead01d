"""Credentials and addresses of models on Azure."""

import inspect
from typing import Any

import pytest
from azure.core.credentials import AccessToken

from teamrun.errors import UsageError
from teamrun.models import AzureOpenAIChatCompletionClient
from teamrun.models.openai.azure import identity_token_provider

PLACE: dict[str, Any] = {"azure_endpoint": "https://x.test", "api_version": "2024-10-21"}


class Credential:
    def __init__(self) -> None:
        self.scopes: list[str] = []

    def get_token(self, *scopes: str, **_: object) -> AccessToken:
        self.scopes.extend(scopes)
        return AccessToken("entra", 4_102_444_800)


async def test_the_identity_of_the_machine_gives_tokens_and_is_asked_once() -> None:
    credential = Credential()
    provider = identity_token_provider(credential)
    tokens: list[str] = []
    for _ in range(2):
        token = provider()
        tokens.append(await token if inspect.isawaitable(token) else token)
    assert tokens == ["entra", "entra"]
    assert credential.scopes == ["https://cognitiveservices.azure.com/.default"]


def test_without_key_and_token_the_identity_is_used() -> None:
    assert AzureOpenAIChatCompletionClient("gpt-4o", **PLACE).model_info["family"] == "gpt-4o"


@pytest.mark.parametrize(
    ("missing", "variable"),
    [("azure_endpoint", "AZURE_OPENAI_ENDPOINT"), ("api_version", "OPENAI_API_VERSION")],
)
def test_a_missing_value_is_named_with_its_variable(
    monkeypatch: pytest.MonkeyPatch, missing: str, variable: str
) -> None:
    given = {name: value for name, value in PLACE.items() if name != missing}
    with pytest.raises(UsageError) as caught:
        AzureOpenAIChatCompletionClient("gpt-4o", api_key="k", **given)
    assert caught.value.data["argument"] == missing
    assert variable in caught.value.message
    monkeypatch.setenv(variable, PLACE[missing])
    AzureOpenAIChatCompletionClient("gpt-4o", api_key="k", **given)
