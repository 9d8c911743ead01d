"""The part of the conversation that a model sees, as data; one row per kind."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, Self

from pydantic import model_validator

from teamrun.components.definitions.base import Part
from teamrun.core.component.table import COMPONENTS
from teamrun.models.scalars import Count

__all__ = ["CONTEXTS", "ContextDefinition", "ContextKind"]


class ContextKind(NamedTuple):
    """One kind of model context."""

    build: str
    """`module:class`, called with the sizes that are given."""
    autogen: str
    """The provider of the same context in AutoGen component JSON."""
    sizes: frozenset[str] = frozenset()
    """The sizes that must be given."""
    optional: frozenset[str] = frozenset()
    """The sizes that may be given."""
    takes_client: bool = False
    """Whether the class takes the model client, before the sizes."""


CONTEXTS: Final[Mapping[str, ContextKind]] = {
    "unbounded": ContextKind(
        build="teamrun.context:UnboundedChatCompletionContext",
        autogen=COMPONENTS["UnboundedChatCompletionContext"].provider,
    ),
    "buffered": ContextKind(
        build="teamrun.context:BufferedChatCompletionContext",
        autogen=COMPONENTS["BufferedChatCompletionContext"].provider,
        sizes=frozenset({"buffer_size"}),
    ),
    "head_and_tail": ContextKind(
        build="teamrun.context:HeadAndTailChatCompletionContext",
        autogen=COMPONENTS["HeadAndTailChatCompletionContext"].provider,
        sizes=frozenset({"head_size", "tail_size"}),
    ),
    "token_limited": ContextKind(
        build="teamrun.context:TokenLimitedChatCompletionContext",
        autogen=COMPONENTS["TokenLimitedChatCompletionContext"].provider,
        optional=frozenset({"token_limit"}),
        takes_client=True,
    ),
}
"""The kinds of context by their type."""

if TYPE_CHECKING:
    _Type = str
else:
    _Type = Literal[tuple(CONTEXTS)]


class ContextDefinition(Part):
    """Which part of the conversation an agent's model sees."""

    type: _Type = "unbounded"
    buffer_size: Count | None = None
    head_size: Count | None = None
    tail_size: Count | None = None
    token_limit: Count | None = None

    @model_validator(mode="after")
    def _sizes_fit_the_type(self) -> Self:
        kind = CONTEXTS[self.type]
        if not kind.sizes <= self.sizes.keys() <= kind.sizes | kind.optional:
            wanted = " and ".join(sorted(kind.sizes | kind.optional)) or "no size"
            raise ValueError(f"a context of type {self.type!r} takes {wanted}")
        return self

    @property
    def sizes(self) -> dict[str, int]:
        """The sizes that are given."""
        return self.model_dump(exclude={"type"}, exclude_none=True)
