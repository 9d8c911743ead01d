"""What the models of Bedrock accept, by prefixes of their ids.

Sources: https://docs.aws.amazon.com/bedrock/latest/userguide/conversation-inference-supported-models-features.html
and, for structured output, https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html
"""

from difflib import get_close_matches
from typing import Literal, NamedTuple

from teamrun.errors import UsageError
from teamrun.models.base import ModelInfo
from teamrun.models.families import ModelFamily

__all__ = ["OPAQUE", "Traits", "base_id", "model_info_of", "region_of", "traits_of"]

Choice = Literal["any", "tool"]

_ALL: tuple[Choice, ...] = ("any", "tool")
_AUTO: tuple[Choice, ...] = ()


class Traits(NamedTuple):
    """The features of one model, beyond those in its `model_info`."""

    prefix: str
    family: str
    window: int = 128_000
    """Tokens; the estimate of `remaining_tokens` starts from it."""
    vision: bool = False
    tools: bool = True
    system: bool = True
    """Takes system prompts. If False, they become the beginning of the first message."""
    streams_tools: bool = True
    """ConverseStream takes tools. If False, requests with tools are sent to Converse."""
    choices: tuple[Choice, ...] = _AUTO
    """The values of `toolChoice` besides `auto`."""
    schemas: Literal["", "able", "first"] = ""
    """Whether it takes a JSON schema for the answer (`outputConfig.textFormat`), and whether that
    comes before a tool with that schema that it is forced to call."""
    is_rich: bool = False
    """Takes results of tools beside text in one message, and their status."""
    caches: Literal["", "messages", "tools"] = ""
    """Takes cache points in system prompts and messages, or after tools as well."""
    reasoning: Literal["all", "signed", "none"] = "all"
    """Which reasoning it takes back with its tool calls."""


_CLAUDE = Traits(
    "anthropic.claude",
    ModelFamily.CLAUDE,
    200_000,
    vision=True,
    choices=_ALL,
    schemas="first",  # from Claude 5 on, some refuse to be forced to call a tool
    is_rich=True,
    caches="tools",
    reasoning="signed",
)


def _claude(prefix: str, *, schemas: Literal["", "able"] = "", vision: bool = True) -> Traits:
    return _CLAUDE._replace(prefix=prefix, schemas=schemas, vision=vision)


def _early_claude(prefix: str, window: int) -> Traits:
    return _claude(prefix, vision=False)._replace(tools=False, window=window, choices=_AUTO)


def _open(prefix: str, family: str = ModelFamily.UNKNOWN, *, vision: bool = False) -> Traits:
    """A model with open weights, whose answers Bedrock can restrict to a schema."""
    return Traits(prefix, family, vision=vision, choices=("any",), schemas="first")


def _simple(prefix: str, family: str = ModelFamily.UNKNOWN, window: int = 8_192) -> Traits:
    """A model without tools and without system prompts."""
    return Traits(prefix, family, window, tools=False, system=False)


def _llama(prefix: str, *, vision: bool = False, tools: bool = True) -> Traits:
    return Traits(prefix, ModelFamily.LLAMA, vision=vision, tools=tools, streams_tools=False)


def _mistral(prefix: str, *, vision: bool = False, choices: tuple[Choice, ...] = _AUTO) -> Traits:
    row = Traits(prefix, ModelFamily.MISTRAL, vision=vision, streams_tools=False)
    return row._replace(choices=choices)


def _nova(prefix: str, window: int, *, vision: bool = True) -> Traits:
    row = Traits(prefix, ModelFamily.NOVA, window, vision=vision, choices=_ALL)
    return row._replace(is_rich=True, caches="messages")


# The longest prefix that fits wins. A row for a whole company is for its models to come.
_ROWS = (
    _CLAUDE,
    _claude("anthropic.claude-3"),
    _claude("anthropic.claude-3-5-haiku", vision=False),
    *(_claude(f"anthropic.claude-{name}-4") for name in ("haiku", "opus", "sonnet")),
    *(
        _claude(f"anthropic.claude-{name}-4-{minor}", schemas="able")
        for name in ("haiku", "opus", "sonnet")
        for minor in (5, 6, 7, 8, 9)
    ),
    _early_claude("anthropic.claude-v2", 100_000),
    _early_claude("anthropic.claude-v2:1", 200_000),
    _early_claude("anthropic.claude-instant", 100_000),
    _nova("amazon.nova-", 1_000_000),
    _nova("amazon.nova-micro", 128_000, vision=False),
    _nova("amazon.nova-lite", 300_000),
    _nova("amazon.nova-pro", 300_000),
    _simple("amazon.titan-t"),
    _simple("ai21.j2"),
    Traits("ai21.jamba", ModelFamily.JAMBA, 256_000),
    Traits("ai21.jamba-instruct", ModelFamily.JAMBA, 256_000, tools=False),
    _simple("cohere.command", ModelFamily.COHERE, 4_096),
    Traits("cohere.command-r", ModelFamily.COHERE, streams_tools=False),
    Traits("cohere.command-a", ModelFamily.COHERE, 256_000),
    _open("deepseek.", ModelFamily.DEEPSEEK)._replace(reasoning="none"),
    Traits("deepseek.r1", ModelFamily.R1, tools=False, reasoning="none"),
    _open("google.gemma", ModelFamily.GEMMA, vision=True),
    _llama("meta.llama"),
    _llama("meta.llama2", tools=False)._replace(window=4_096),
    _llama("meta.llama3-8b", tools=False)._replace(window=8_192),
    _llama("meta.llama3-70b", tools=False)._replace(window=8_192),
    _llama("meta.llama3-2-1b", tools=False),
    _llama("meta.llama3-2-3b", tools=False),
    _llama("meta.llama3-2-11b", vision=True),
    _llama("meta.llama3-2-90b", vision=True),
    _llama("meta.llama4", vision=True),
    _open("minimax."),
    _mistral("mistral."),
    _simple("mistral.mistral-7b", ModelFamily.MISTRAL, 32_768),
    _simple("mistral.mixtral-8x7b", ModelFamily.MISTRAL, 32_768),
    _mistral("mistral.mistral-large-24", choices=("any",)),
    _mistral("mistral.pixtral-large", vision=True, choices=("any",)),
    _open("mistral.mistral-large-3", ModelFamily.MISTRAL, vision=True),
    _open("mistral.ministral-3", ModelFamily.MISTRAL, vision=True),
    _open("mistral.magistral", ModelFamily.MISTRAL, vision=True),
    _open("moonshot."),
    _open("moonshotai."),
    _open("nvidia.nemotron"),
    _open("openai.gpt-", ModelFamily.GPT_5, vision=True),
    _open("openai.gpt-oss", ModelFamily.GPT_OSS),
    _open("qwen.", ModelFamily.QWEN),
    _open("qwen.qwen3-vl", ModelFamily.QWEN, vision=True),
    Traits("writer.palmyra", ModelFamily.UNKNOWN, streams_tools=False),
    Traits("writer.palmyra-x5", ModelFamily.UNKNOWN, 1_000_000, streams_tools=False),
    _open("zai.glm"),
)

OPAQUE = Traits("", ModelFamily.UNKNOWN, choices=_ALL)
"""For an id that does not name its model, such as the ARN of an application inference profile."""


def base_id(model_id: str) -> str:
    """The id of the model without the ARN around it: `us.anthropic.claude-sonnet-4-v1:0`.

    The ARN of a custom model has the id of its base model. Those of application inference profiles,
    provisioned throughput, prompt routers and imported models have none.
    """
    if not model_id.startswith("arn:"):
        return model_id
    resource = model_id.split(":", 5)[5:]
    return resource[0].partition("/")[2].partition("/")[0] if resource else ""


def region_of(model_id: str) -> str | None:
    """The region in an ARN."""
    parts = model_id.split(":", 5)
    return parts[3] or None if parts[0] == "arn" and len(parts) > 3 else None


def traits_of(model_id: str) -> Traits | None:
    """The features of a model; None if its id does not tell which model it is."""
    name = base_id(model_id).lower()
    # "us.anthropic.claude-...": the geography or "global" of an inference profile comes first.
    names = (name, name.partition(".")[2])
    fitting = [row for row in _ROWS if any(name.startswith(row.prefix) for name in names)]
    return max(fitting, key=lambda row: len(row.prefix), default=None)


def model_info_of(model_id: str) -> ModelInfo:
    """The capabilities of the model with that id.

    Raises:
        UsageError: The id does not tell which model it is.
    """
    row = traits_of(model_id)
    if row is None:
        close = get_close_matches(base_id(model_id), [row.prefix for row in _ROWS], n=1)
        hint = f" Did you mean a model of {close[0]!r}?" if close else ""
        raise UsageError(
            f"Nothing is known about the Bedrock model {model_id!r}.{hint} Pass base_model= with "
            "the id of the model behind it, such as 'anthropic.claude-sonnet-4-20250514-v1:0', or "
            "model_info=.",
            argument="base_model",
            model=model_id,
        )
    info = ModelInfo(
        vision=row.vision,
        function_calling=row.tools,
        json_output=True,
        family=row.family,
        structured_output=bool(row.schemas) or (row.tools and bool(row.choices)),
        multiple_system_messages=True,
        alternate_roles=False,
        empty_content=True,
    )
    if not row.choices:
        info["forced_tool"] = False
    return info
