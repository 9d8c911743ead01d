"""The capabilities of known models, by prefixes of their names.

A name that matches no row requires `model_info=`, unless the client uses a server of the caller's
choice (`base_url`): such a server is assumed to support everything, and returns an error if it
does not.
"""

import re
import warnings
from difflib import get_close_matches
from typing import ClassVar, NamedTuple, TypeAlias, cast

from teamrun.json_types import JsonMapping
from teamrun.models.base import ModelInfo
from teamrun.models.wrong_arguments import ModelArgumentError

__all__ = [
    "ModelFamily",
    "context_window",
    "family_of",
    "is_reasoning",
    "model_info_for",
    "resolved_model_info",
    "validated",
]


_MISTRAL = ("mistral", "ministral", "codestral", "open-codestral", "pixtral")


class ModelFamily:
    """Names of model families in `model_info["family"]`."""

    GPT_6: ClassVar[str] = "gpt-6"
    GPT_5: ClassVar[str] = "gpt-5"
    GPT_41: ClassVar[str] = "gpt-41"
    GPT_4O: ClassVar[str] = "gpt-4o"
    GPT_4: ClassVar[str] = "gpt-4"
    GPT_35: ClassVar[str] = "gpt-35"
    GPT_OSS: ClassVar[str] = "gpt-oss"
    O1: ClassVar[str] = "o1"
    O3: ClassVar[str] = "o3"
    O4: ClassVar[str] = "o4"
    R1: ClassVar[str] = "r1"
    CLAUDE: ClassVar[str] = "claude"
    GEMINI: ClassVar[str] = "gemini"
    LLAMA: ClassVar[str] = "llama"
    MISTRAL: ClassVar[str] = "mistral"
    GEMMA: ClassVar[str] = "gemma"
    NOVA: ClassVar[str] = "nova"
    COHERE: ClassVar[str] = "cohere"
    DEEPSEEK: ClassVar[str] = "deepseek"
    JAMBA: ClassVar[str] = "jamba"
    QWEN: ClassVar[str] = "qwen"
    UNKNOWN: ClassVar[str] = "unknown"

    # The finer names of AutoGen, for a `model_info` that is written there.
    GPT_45: ClassVar[str] = "gpt-45"
    GEMINI_1_5_FLASH: ClassVar[str] = "gemini-1.5-flash"
    GEMINI_1_5_PRO: ClassVar[str] = "gemini-1.5-pro"
    GEMINI_2_0_FLASH: ClassVar[str] = "gemini-2.0-flash"
    GEMINI_2_5_PRO: ClassVar[str] = "gemini-2.5-pro"
    GEMINI_2_5_FLASH: ClassVar[str] = "gemini-2.5-flash"
    CLAUDE_3_HAIKU: ClassVar[str] = "claude-3-haiku"
    CLAUDE_3_SONNET: ClassVar[str] = "claude-3-sonnet"
    CLAUDE_3_OPUS: ClassVar[str] = "claude-3-opus"
    CLAUDE_3_5_HAIKU: ClassVar[str] = "claude-3-5-haiku"
    CLAUDE_3_5_SONNET: ClassVar[str] = "claude-3-5-sonnet"
    CLAUDE_3_7_SONNET: ClassVar[str] = "claude-3-7-sonnet"
    CLAUDE_4_OPUS: ClassVar[str] = "claude-4-opus"
    CLAUDE_4_SONNET: ClassVar[str] = "claude-4-sonnet"
    LLAMA_3_3_8B: ClassVar[str] = "llama-3.3-8b"
    LLAMA_3_3_70B: ClassVar[str] = "llama-3.3-70b"
    LLAMA_4_SCOUT: ClassVar[str] = "llama-4-scout"
    LLAMA_4_MAVERICK: ClassVar[str] = "llama-4-maverick"
    CODESRAL: ClassVar[str] = "codestral"
    OPEN_CODESRAL_MAMBA: ClassVar[str] = "open-codestral-mamba"
    MINISTRAL: ClassVar[str] = "ministral"
    PIXTRAL: ClassVar[str] = "pixtral"
    ANY: TypeAlias = str
    """The type of a family."""

    @staticmethod
    def is_openai(family: str) -> bool:
        """Whether the family is OpenAI's own."""
        return family.startswith(("gpt-", "o1", "o3", "o4"))

    @staticmethod
    def is_claude(family: str) -> bool:
        """Whether the family is one of Claude's."""
        return family.startswith("claude")

    @staticmethod
    def is_gemini(family: str) -> bool:
        """Whether the family is one of Gemini's."""
        return family.startswith("gemini")

    @staticmethod
    def is_llama(family: str) -> bool:
        """Whether the family is one of Llama's."""
        return family.startswith("llama")

    @staticmethod
    def is_mistral(family: str) -> bool:
        """Whether the family is one of Mistral's."""
        return family.startswith(_MISTRAL)


class _Row(NamedTuple):
    prefix: str
    family: str
    window: int = 128_000
    """Tokens; the estimate of `remaining_tokens` starts from it."""
    vision: bool = True
    tools: bool = True
    json: bool = True
    structured: bool = True
    reasoning: bool = False
    """Takes `max_completion_tokens` and refuses `max_tokens`."""


# The longest prefix that fits wins.
_ROWS = (
    _Row("gpt-6", ModelFamily.GPT_6, 400_000, reasoning=True),
    _Row("gpt-5", ModelFamily.GPT_5, 400_000, reasoning=True),
    _Row("gpt-4.1", ModelFamily.GPT_41, 1_047_576),
    _Row("gpt-4o", ModelFamily.GPT_4O),
    _Row("chatgpt-4o", ModelFamily.GPT_4O, tools=False),
    _Row("gpt-4-turbo", ModelFamily.GPT_4, structured=False),
    _Row("gpt-4-vision", ModelFamily.GPT_4, tools=False, json=False, structured=False),
    _Row("gpt-4", ModelFamily.GPT_4, 8_192, vision=False, json=False, structured=False),
    _Row("gpt-4-32k", ModelFamily.GPT_4, 32_768, vision=False, json=False, structured=False),
    _Row("gpt-4-0125", ModelFamily.GPT_4, vision=False, structured=False),
    _Row("gpt-4-1106", ModelFamily.GPT_4, vision=False, structured=False),
    _Row("gpt-3.5-turbo", ModelFamily.GPT_35, 16_385, vision=False, structured=False),
    _Row("gpt-35-turbo", ModelFamily.GPT_35, 16_385, vision=False, structured=False),  # Azure
    _Row("gpt-oss", ModelFamily.GPT_OSS, 131_072, vision=False),
    _Row("o1", ModelFamily.O1, 200_000, reasoning=True),
    _Row("o1-mini", ModelFamily.O1, 128_000, False, False, False, False, reasoning=True),
    _Row("o1-preview", ModelFamily.O1, 128_000, False, False, False, False, reasoning=True),
    _Row("o3", ModelFamily.O3, 200_000, reasoning=True),
    _Row("o3-mini", ModelFamily.O3, 200_000, vision=False, reasoning=True),
    _Row("o4-mini", ModelFamily.O4, 200_000, reasoning=True),
    # Through the OpenAI-compatible endpoints of their makers, or on a server of one's own.
    _Row("claude-", ModelFamily.CLAUDE, 200_000),
    *(
        _Row(f"claude-{name}-5", ModelFamily.CLAUDE, 1_000_000)
        for name in ("fable", "haiku", "mythos", "opus", "sonnet")
    ),
    _Row("gemini-", ModelFamily.GEMINI, 1_048_576),
    _Row("deepseek-r1", ModelFamily.R1, 65_536, vision=False),
    _Row("deepseek-reasoner", ModelFamily.R1, 65_536, vision=False),
    _Row("llama", ModelFamily.LLAMA),
    _Row("gemma", ModelFamily.GEMMA),
    *(
        _Row(name, ModelFamily.MISTRAL)
        for name in ("mistral", "mixtral", "ministral", "magistral", "codestral", "devstral")
    ),
    _Row("pixtral", ModelFamily.MISTRAL),
)

_STRICT = {"alternate_roles": True, "multiple_system_messages": False, "empty_content": False}
_SWITCHES: tuple[tuple[tuple[str, ...], dict[str, bool]], ...] = (
    (("gemini",), {"multiple_system_messages": False, "empty_content": False}),
    (("claude",), {"empty_content": False}),
    (("r1",), {"alternate_roles": True}),
    (("gemma", *_MISTRAL), _STRICT),
)
"""Requirements of chat templates, by prefixes of the family's name."""

_NEEDED = ("vision", "function_calling", "json_output", "family")


def model_info_for(model: str, *, own_server: bool) -> ModelInfo:
    """The capabilities of the model of that name.

    Args:
        model: The name; the `ft:` of a fine-tuned one is looked through.
        own_server: The client talks to a `base_url` of the caller's choosing.

    Raises:
        ModelArgumentError: No row fits and the server is the provider's own.
    """
    row = _row(model)
    if row is not None:
        return _info(row)
    if own_server:
        return _info(_Row(model, ModelFamily.UNKNOWN))
    known = [row.prefix for row in _ROWS]
    close = get_close_matches(model, known, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise ModelArgumentError(
        f"Nothing is known about the model {model!r}.{hint} Pass model_info={{'vision': ..., "
        "'function_calling': ..., 'json_output': ..., 'structured_output': ..., 'family': "
        "'unknown'} for it, or base_url= if another server than OpenAI's has it.",
        model=model,
        **({"similar": close[0]} if close else {}),
    )


def context_window(model: str) -> int:
    """The size of the model's window in tokens, 128,000 for an unknown one."""
    row = _row(model)
    return _Row("", "").window if row is None else row.window


def family_of(model: str) -> str:
    """The family of the model of that name; `unknown` if no row fits."""
    row = _row(model)
    return ModelFamily.UNKNOWN if row is None else row.family


def is_reasoning(model: str) -> bool:
    """Whether the model takes `max_completion_tokens` in place of `max_tokens`."""
    row = _row(model)
    return row is not None and row.reasoning


def resolved_model_info(
    model: str, info: ModelInfo | JsonMapping | None, *, own_server: bool
) -> ModelInfo:
    """The capabilities of the model of that name, from the caller or the table.

    Args:
        model: The name.
        info: The caller's `model_info`: whole, or only the switches that differ from the table.
        own_server: As for `model_info_for`.

    Raises:
        ModelArgumentError: A field is missing or unknown, or nothing is known about the model.
    """
    if info is None:
        return model_info_for(model, own_server=own_server)
    if info and not any(name in info for name in (*_NEEDED, "structured_output")):
        _check_names(info)
        return cast(ModelInfo, {**model_info_for(model, own_server=own_server), **info})
    return validated(info)


def validated(info: ModelInfo | JsonMapping) -> ModelInfo:
    """The caller's own `model_info`, complete; switches that it leaves out are the family's.

    Raises:
        ModelArgumentError: A field is missing or unknown.
    """
    _check_names(info)
    missing = [name for name in _NEEDED if name not in info]
    if missing:
        raise ModelArgumentError(
            f"model_info lacks {', '.join(map(repr, missing))}; it needs {', '.join(_NEEDED)} "
            "and structured_output.",
            missing=missing,
        )
    if "structured_output" not in info:
        warnings.warn(
            "model_info has no 'structured_output'; False is assumed. Set it explicitly.",
            stacklevel=3,
        )
    switches = _switches(str(info["family"]))
    return cast(ModelInfo, {"structured_output": False, **switches, **info})


def _check_names(info: ModelInfo | JsonMapping) -> None:
    for name in info:
        if name not in ModelInfo.__annotations__:
            close = get_close_matches(name, ModelInfo.__annotations__, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise ModelArgumentError(
                f"model_info has no field {name!r}.{hint}", argument="model_info"
            )


def _switches(family: str) -> dict[str, bool]:
    none: dict[str, bool] = {}
    return next((found for names, found in _SWITCHES if family.startswith(names)), none)


def _row(model: str) -> _Row | None:
    # "ft:gpt-4o-mini-2024-07-18:acme::id" and "registry.host/llama3.2:3b" by their middle part.
    name = re.sub(r"^ft:", "", model.lower()).rpartition("/")[2]
    fitting = [row for row in _ROWS if name.startswith(row.prefix)]
    return max(fitting, key=lambda row: len(row.prefix), default=None)


def _info(row: _Row) -> ModelInfo:
    info = ModelInfo(
        vision=row.vision,
        function_calling=row.tools,
        json_output=row.json,
        family=row.family,
        structured_output=row.structured,
        multiple_system_messages=True,
        alternate_roles=False,
        empty_content=True,
    )
    return cast(ModelInfo, {**info, **_switches(row.family)})
