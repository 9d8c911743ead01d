"""The arguments of Ollama's `/api/chat` besides messages and tools.

Sources: https://docs.ollama.com/api/chat and, for `options`, https://docs.ollama.com/modelfile
"""

from functools import cache
from typing import Any, Literal, cast

from pydantic import BaseModel, ConfigDict, TypeAdapter, with_config
from typing_extensions import TypedDict  # pydantic reads typing's own only from 3.12 on

from teamrun.json_types import JsonMapping, JsonObject
from teamrun.models.create_args import checked_by

__all__ = ["OllamaArgs", "checked_arguments", "joined", "on_wire"]

Json = JsonObject


@with_config(ConfigDict(extra="forbid"))
class OllamaArgs(TypedDict, total=False):
    """The arguments of a call besides messages and tools."""

    temperature: float | None
    max_tokens: int | None
    """`options.num_predict`."""
    top_p: float | None
    top_k: int | None
    seed: int | None
    stop: str | list[str] | None
    num_ctx: int | None
    """The size of the context window, in tokens. The server cuts longer prompts without an error.
    """
    frequency_penalty: float | None
    presence_penalty: float | None
    options: JsonObject | None
    """Any other options of the model, such as `min_p` or `num_gpu`; those above take precedence."""
    think: bool | Literal["low", "medium", "high"] | None
    """Whether the model thinks before it answers, or how much; by default the model decides."""
    keep_alive: str | float | None
    """How long the model stays in memory afterwards: seconds, or a text such as `10m`."""
    response_format: Literal["json"] | JsonObject | type[BaseModel] | None
    """`format`: a JSON schema, a class, or `json` for any JSON."""


_OPTIONS = {
    "temperature": "temperature",
    "max_tokens": "num_predict",
    "top_p": "top_p",
    "top_k": "top_k",
    "seed": "seed",
    "num_ctx": "num_ctx",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
}
"""Our names of options, each with Ollama's."""


def checked_arguments(args: JsonMapping) -> OllamaArgs:
    """The arguments, if all of them exist and have the right type.

    Ollama's own `num_predict` is another name for `max_tokens`.

    Raises:
        ModelArgumentError: One does not; the message names it.
    """
    args = {"max_tokens" if name == "num_predict" else name: args[name] for name in args}
    return checked_by(
        _adapter(),
        args,
        OllamaArgs.__annotations__,
        call="A call of Ollama",
        otherwise="give it within options=.",
    )


def joined(args: OllamaArgs, extra: OllamaArgs) -> OllamaArgs:
    """The client's arguments with those of one call, which take precedence."""
    options = {**(args.get("options") or {}), **(extra.get("options") or {})}
    return cast(OllamaArgs, {**args, **extra, "options": options})


def on_wire(args: OllamaArgs) -> Json:
    """The arguments as members of a request, without the format of the answer."""
    given = cast("dict[str, Any]", args)
    stop = args.get("stop")
    options = {
        **(args.get("options") or {}),
        **{name: given[ours] for ours, name in _OPTIONS.items() if given.get(ours) is not None},
        **({} if stop is None else {"stop": [stop] if isinstance(stop, str) else stop}),
    }
    members = {name: given.get(name) for name in ("think", "keep_alive")}
    wire = {name: value for name, value in members.items() if value is not None}
    return {**wire, **({"options": options} if options else {})}


@cache
def _adapter() -> TypeAdapter[OllamaArgs]:  # made at first use: a cold start need not pay
    return TypeAdapter(OllamaArgs)
