"""Models of Amazon Bedrock: Claude, Nova, Llama, Mistral and every other one that Converse serves.

Above it: agents. Below it: an `Attempt` with the requests and calls of this folder, which a
`RetryingModel` repeats. The SDK's own retries are off: ours are bounded in number and time, and are
observable (`retry.py`). The SDK is loaded when the first client is created.
"""

import os
from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Literal, Unpack

from teamrun.core.clock import Clock
from teamrun.core.optional import require
from teamrun.errors import UsageError
from teamrun.models.attempt import Attempt, as_timedelta
from teamrun.models.base import ModelInfo
from teamrun.models.bedrock.arguments import BedrockArgs, checked_arguments
from teamrun.models.bedrock.guardrails import Guardrail
from teamrun.models.bedrock.request import RequestBuilder
from teamrun.models.bedrock.traits import (
    OPAQUE,
    base_id,
    model_info_of,
    region_of,
    traits_of,
)
from teamrun.models.component import arguments_of
from teamrun.models.families import ModelFamily, validated
from teamrun.models.makers import check_address
from teamrun.models.retry import RetryingModel, RetryPolicy

if TYPE_CHECKING:
    from teamrun.models.bedrock.connection import AwsKeys

__all__ = ["BedrockChatCompletionClient"]


class BedrockChatCompletionClient(RetryingModel):
    """A model of Amazon Bedrock.

    Credentials come from the AWS SDK's standard chain: variables (`AWS_ACCESS_KEY_ID`,
    `AWS_BEARER_TOKEN_BEDROCK`), profiles, or the role of the machine, function or container. They
    need `bedrock:InvokeModel`, and `bedrock:InvokeModelWithResponseStream` for streams.

    Args:
        model: The id of a model or inference profile, or an ARN; `model_id` is another name for it;
            without it, `BEDROCK_MODEL_ID`.
        region: Without it, the region in the ARN, `AWS_REGION`, `AWS_DEFAULT_REGION` or the region
            of the profile.
        profile: A profile of the AWS configuration files; without it, `AWS_PROFILE`.
        base_url: Another endpoint than the region's, such as that of a VPC.
        base_model: The id of the model behind an ARN that does not contain it; determines the
            capabilities.
        model_info: The model's capabilities, in place of those known for its id.
        timeout: Of a whole call, or of silence within a stream: seconds, or a `timedelta`.
        max_retries: How often a call is repeated after a transient failure.
        retry: The whole retry policy, in place of `max_retries`.
        add_name_prefixes: Begin each user message with `{source} said:`; without it, if the
            conversation has several sources.
        prompt_caching: Mark the prompt as cacheable (`cachePoint`), for models that support it.
        guardrail_id: A guardrail's id or ARN, for every call.
        guardrail_version: Its version, or `DRAFT`.
        guardrail_trace: `enabled`, `disabled` or `enabled_full`.
        aws_keys: Credentials of the program, in place of those of the chain. They are written
            neither into a component nor anywhere else.
        create_args: `temperature`, `max_tokens` and the other arguments of `BedrockArgs`; they
            apply to every call.

    Raises:
        UsageError: An argument is missing, unknown or of the wrong type.
        MissingPackage: boto3 is not installed.
    """

    def __init__(
        self,
        model: str | None = None,
        region: str | None = None,
        *,
        model_id: str | None = None,
        profile: str | None = None,
        base_url: str | None = None,
        base_model: str | None = None,
        model_info: ModelInfo | None = None,
        timeout: timedelta | float | None = None,
        max_retries: int | None = None,
        retry: RetryPolicy | None = None,
        add_name_prefixes: bool | None = None,
        prompt_caching: bool = False,
        guardrail_id: str | None = None,
        guardrail_version: str | None = None,
        guardrail_trace: Literal["enabled", "disabled", "enabled_full"] | None = None,
        aws_keys: "AwsKeys | None" = None,
        clock: Clock | None = None,
        **create_args: Unpack[BedrockArgs],
    ) -> None:
        given = arguments_of(locals())
        given.pop("aws_keys", None)  # written nowhere
        require("boto3", extra="bedrock", needed_by=type(self).__name__, lowest=(1, 40))
        from teamrun.models.bedrock.calls import BedrockCalls  # loads the SDK
        from teamrun.models.bedrock.connection import Place, has_schemas

        model = model or model_id or os.environ.get("BEDROCK_MODEL_ID")
        if not model:
            raise UsageError("No model: pass model=, or set BEDROCK_MODEL_ID.", argument="model")
        self._given = given | {"model": model}
        if base_url is not None:
            check_address(base_url, "base_url")
        info = validated(model_info) if model_info else model_info_of(base_model or model)
        traits = traits_of(base_model or model) or OPAQUE
        requests = RequestBuilder(
            model=model,
            base_model=base_model,
            info=info,
            traits=traits,
            provider=_provider(info, base_model or model),
            arguments=checked_arguments(create_args),
            has_schemas=has_schemas(),
            guardrail=_guardrail(guardrail_id, guardrail_version, guardrail_trace),
            add_name_prefixes=add_name_prefixes,
            prompt_caching=prompt_caching,
        )
        place = Place(
            region or region_of(model) or os.environ.get("AWS_REGION") or None,
            base_url,
            profile,
            as_timedelta(timeout).total_seconds(),
            aws_keys,
        )
        super().__init__(Attempt(requests, BedrockCalls(place)), retry, max_retries, clock=clock)


def _guardrail(identifier: str | None, version: str | None, trace: str | None) -> Guardrail | None:
    if identifier is None and version is None and trace is None:
        return None
    if not identifier or not version:
        missing = "guardrail_version" if identifier else "guardrail_id"
        raise UsageError(
            "A guardrail needs guardrail_id= and guardrail_version=, such as '1' or 'DRAFT'.",
            argument=missing,
        )
    return Guardrail(identifier, version, trace)


def _provider(info: ModelInfo, model: str) -> str:
    """The name under which reasoning is kept: a family takes back only its own."""
    family = info["family"]
    if family == ModelFamily.UNKNOWN:
        family = sha256((base_id(model) or model).encode()).hexdigest()[:12]
    return f"bedrock-{family}"
