"""Teams in which a model selects the speaker, built from the canonical form."""

from collections.abc import Sequence

from teamrun.components.building.teams import TeamBuilder, build_context, given
from teamrun.components.definitions.teams import SelectorDefinition
from teamrun.core.protocols import ChatAgent, Team
from teamrun.json_types import JsonObject
from teamrun.teams import SelectorGroupChat

__all__ = ["build_selector"]


def build_selector(
    definition: SelectorDefinition,
    participants: Sequence[ChatAgent | Team],
    options: JsonObject,
    path: str,
    builder: TeamBuilder,
) -> SelectorGroupChat:
    """A team in which a model selects the next speaker."""
    client = builder.model(definition.model, "selector", f"{path}/selector")
    options |= given(
        selector_prompt=definition.selector_prompt,
        allow_repeated_speaker=definition.allow_repeated_speaker,
        max_selector_attempts=definition.max_selector_attempts,
        model_client_streaming=definition.model_client_streaming,
    )
    for field in ("selector_func", "candidate_func"):
        if (name := getattr(definition, field)) is not None:
            options[field] = builder.needs.function(name)
    if definition.model_context is not None:
        options["model_context"] = build_context(definition.model_context, client)
    return SelectorGroupChat(participants, client, **options)
