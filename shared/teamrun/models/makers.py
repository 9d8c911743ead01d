"""The address and the key of a model, selected together so that they always match.

The address decides the key. The variable of a known company is used at that company's hosts and
nowhere else, and no other variable is used there.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from hashlib import sha256
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from teamrun.core.urls import http_url_fault, public_url
from teamrun.errors import UsageError
from teamrun.models.families import ModelFamily, family_of
from teamrun.models.quirks import NO_QUIRKS, Quirks
from teamrun.models.wrong_arguments import ModelArgumentError

__all__ = [
    "ANTHROPIC",
    "BASE_URL",
    "KEY_VARIABLES",
    "NO_KEY",
    "OLLAMA",
    "OPENAI",
    "PRESETS",
    "Access",
    "Address",
    "Company",
    "Maker",
    "NoAddress",
    "access_to",
    "address_and_query",
    "address_of",
    "check_address",
    "maker_at",
    "preset_named",
    "provider_of",
    "quirks_of",
    "variable_of",
]


class Maker(NamedTuple):
    """A company, or a program, that serves models over OpenAI's protocol."""

    name: str
    base_url: str
    variable: str
    """The environment variable of its key; empty if it needs none."""
    prefixes: tuple[str, ...] = ()
    """How the names of models begin that only this company serves."""
    also: str = ""
    """Another variable of its key, which is read if `variable` is not set."""
    quirks: Quirks = NO_QUIRKS

    def serves(self, host: str) -> bool:
        """Whether the host is the company's own, regional ones included."""
        own = urlsplit(self.base_url).hostname or ""
        return host == own or host.endswith(f".{own}")


_OLD_LIMIT: Final = {"max_completion_tokens": "max_tokens"}
_MISTRAL: Final = Quirks(
    # https://docs.mistral.ai/api/endpoint/chat: every field that it does not know is an error 422.
    renamed={**_OLD_LIMIT, "seed": "random_seed"},
    required="any",
    stream_options=False,
    names=False,
    thoughts=False,
    id_length=9,
    switches={"alternate_roles": True, "multiple_system_messages": False, "empty_content": False},
)

OPENAI = Maker("openai", "https://api.openai.com/v1", "OPENAI_API_KEY")
OLLAMA = Maker("ollama", "https://ollama.com/v1", "OLLAMA_API_KEY")
"""Its hosted models; a server of one's own needs no key."""

# The first three addresses and prefixes are AutoGen's; "Llama-" is case-sensitive there, too, since
# other hosts and local servers have "llama-3.3-70b-versatile" and "llama3.2".
_MAKERS = (
    OPENAI,
    Maker(
        "gemini",
        "https://generativelanguage.googleapis.com/v1beta/openai/",
        "GEMINI_API_KEY",
        ("gemini-", "models/gemini-"),
        also="GOOGLE_API_KEY",
    ),
    Maker("anthropic", "https://api.anthropic.com/v1/", "ANTHROPIC_API_KEY", ("claude-",)),
    Maker("llama", "https://api.llama.com/compat/v1/", "LLAMA_API_KEY", ("Llama-",)),
    Maker(
        "deepseek",
        "https://api.deepseek.com/v1",
        "DEEPSEEK_API_KEY",
        ("deepseek-chat", "deepseek-reasoner"),
        # https://api-docs.deepseek.com/api/create-chat-completion
        quirks=Quirks(renamed=_OLD_LIMIT, strict_tools=False, schemas=False),
    ),
    Maker("xai", "https://api.x.ai/v1", "XAI_API_KEY", ("grok-",), quirks=Quirks(thoughts=False)),
    # Without prefixes: local servers have models of the same names.
    Maker("mistral", "https://api.mistral.ai/v1", "MISTRAL_API_KEY", quirks=_MISTRAL),
    Maker(
        "groq",
        "https://api.groq.com/openai/v1",
        "GROQ_API_KEY",
        # https://console.groq.com/docs/structured-outputs
        quirks=Quirks(format_beside_tools=False, thoughts=False),
    ),
    Maker("openrouter", "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"),
    Maker(
        "together",
        "https://api.together.xyz/v1",
        "TOGETHER_API_KEY",
        quirks=Quirks(renamed=_OLD_LIMIT, thoughts=False),
    ),
    Maker("fireworks", "https://api.fireworks.ai/inference/v1", "FIREWORKS_API_KEY"),
    OLLAMA,
)

# Programs on a machine of one's own, at the addresses at which they listen by default.
_SERVERS = (
    Maker("vllm", "http://127.0.0.1:8000/v1", ""),
    Maker(
        "lm_studio",
        "http://127.0.0.1:1234/v1",
        "",
        quirks=Quirks(names_tools=False, thoughts=False),
    ),
    Maker("llama_cpp", "http://127.0.0.1:8080/v1", "", quirks=Quirks(names_tools=False)),
    Maker("sglang", "http://127.0.0.1:30000/v1", ""),
)

PRESETS: Final[Mapping[str, Maker]] = {maker.name: maker for maker in (*_MAKERS, *_SERVERS)}
"""The servers that are known by name."""

KEY_VARIABLES = tuple(name for maker in _MAKERS for name in (maker.variable, maker.also) if name)
"""The variables of all companies' keys."""

NO_KEY = "none"
"""Sent to a server of the caller's own that needs no key; the SDK insists on one."""

BASE_URL = "OPENAI_BASE_URL"
"""The variable of the server that is called unless another one is named."""


class NoAddress(UsageError):
    """The model is known not to be OpenAI's, and nothing names the server that has it."""

    code = "no_address"


class Access(NamedTuple):
    """How a model is reached."""

    base_url: str
    variable: str | None
    """The variable of the key that the address needs; None for a server that may need none."""
    key: str | None
    """The key of the environment that belongs to the address."""

    @property
    def is_openai(self) -> bool:
        """Whether the address is OpenAI's."""
        return maker_at(self.base_url) is OPENAI


def address_of(model: str, base_url: str | None, environ: Mapping[str, str]) -> str:
    """The address at which a model is called.

    Args:
        model: The model's name.
        base_url: The caller's choice, which takes precedence.
        environ: Gives `OPENAI_BASE_URL`. It is not used for a model that only its maker serves.

    Raises:
        NoAddress: The model is known not to be OpenAI's, and nothing names its server.
    """
    if base_url:
        return base_url
    if (maker := _maker_of(model)) is not None:
        return maker.base_url
    if configured := environ.get(BASE_URL):
        return configured
    family = family_of(model)
    if family == ModelFamily.UNKNOWN or _is_served_by_openai(family):
        return OPENAI.base_url
    raise NoAddress(
        f"The model {model!r} is not OpenAI's: pass base_url=, or set {BASE_URL}, to name the "
        "server that has it.",
        argument="base_url",
    )


def access_to(model: str, base_url: str | None, environ: Mapping[str, str]) -> Access:
    """The address at which a model is called, with the key of the environment that belongs to it.

    Args:
        model: The model's name.
        base_url: The caller's choice, which takes precedence.
        environ: The environment variables.

    Raises:
        NoAddress: As for `address_of`.
    """
    address = address_of(model, base_url, environ)
    return _access_at(address, environ, BASE_URL, OPENAI.variable)


def _access_at(
    address: str, environ: Mapping[str, str], address_variable: str, variable: str
) -> Access:
    maker = maker_at(address)
    if maker is not None:
        key = environ.get(maker.variable) or environ.get(maker.also)
        return Access(address, maker.variable, key or None)
    # The two variables belong together: they describe one server.
    is_configured = address == environ.get(address_variable)
    return Access(address, None, (environ.get(variable) or None) if is_configured else None)


class Company(NamedTuple):
    """A company with a protocol of its own; finds address and key for its protocol."""

    base_url: str
    """Its own address for the protocol."""
    address_variable: str
    """The variable of the server that is called unless another one is named."""
    variable: str
    """The variable of its key."""

    def __call__(self, model: str, base_url: str | None, environ: Mapping[str, str]) -> Access:
        """The address at which a model is called, with the key of the environment for it.

        Args:
            model: The model's name.
            base_url: The caller's choice, which takes precedence.
            environ: The environment variables.
        """
        address = base_url or environ.get(self.address_variable) or self.base_url
        return _access_at(address, environ, self.address_variable, self.variable)


ANTHROPIC = Company("https://api.anthropic.com", "ANTHROPIC_BASE_URL", "ANTHROPIC_API_KEY")
"""The Messages API; `_MAKERS` has its address for OpenAI's protocol."""


class Address(NamedTuple):
    """A server's address in the two parts that a client takes."""

    url: str
    query: dict[str, str] | None
    """Sent with every request, such as the signature of a gateway; None if there is none."""


def address_and_query(address: str) -> Address:
    """The parts of an address, to which the paths of requests are added."""
    url, sign, query = address.partition("?")
    if not sign:
        return Address(address, None)
    return Address(url, dict(parse_qsl(query.partition("#")[0], keep_blank_values=True)))


def check_address(address: str, argument: str) -> None:
    """Refuse anything but the URL of an HTTP server.

    Args:
        address: The URL; no part of it is repeated, since it may contain a password.
        argument: The name under which the caller gave it.

    Raises:
        UsageError: The scheme is not `http` or `https`, or the URL is malformed.
    """
    if (fault := http_url_fault(address)) is not None:
        raise UsageError(f"{argument} {fault}.", argument=argument)


def maker_at(base_url: str) -> Maker | None:
    """The company behind an address; None for every other server."""
    try:
        host = (urlsplit(base_url).hostname or "").rstrip(".")
    except ValueError:
        return None
    return next((maker for maker in _MAKERS if maker.serves(host)), None)


def preset_named(name: str) -> Maker:
    """The server of that name.

    Raises:
        ModelArgumentError: There is none.
    """
    maker = PRESETS.get(name)
    if maker is None:
        close = get_close_matches(name, PRESETS, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ModelArgumentError(
            f"There is no preset {name!r}.{hint} Known: {', '.join(PRESETS)}. A server that is not "
            "among them needs base_url= alone.",
            argument="preset",
        )
    return maker


def quirks_of(base_url: str, preset: Maker | None) -> Quirks:
    """The peculiarities of the server at an address.

    Args:
        base_url: The address; that of a company is enough to know them.
        preset: The server that the caller named, which takes precedence.
    """
    maker = preset or maker_at(base_url)
    return NO_QUIRKS if maker is None else maker.quirks


def provider_of(base_url: str) -> str:
    """A name for the server at an address that does not disclose the address of a private one."""
    if (maker := maker_at(base_url)) is not None:
        return maker.name
    return f"server-{sha256(public_url(base_url).rstrip('/').encode()).hexdigest()[:12]}"


def variable_of(model: str) -> str:
    """The variable of the key for a model, if no other server is named for it."""
    return (_maker_of(model) or OPENAI).variable


def _maker_of(model: str) -> Maker | None:
    return next((maker for maker in _MAKERS if model.startswith(maker.prefixes)), None)


def _is_served_by_openai(family: str) -> bool:
    return ModelFamily.is_openai(family) and family != ModelFamily.GPT_OSS
