"""Guardrails: which one checks a call, and what it found.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_GuardrailAssessment.html
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, cast

from teamrun.json_types import JsonObject, members

__all__ = ["Guardrail", "filtered_by"]

Json = JsonObject

_POLICIES: Final = {
    "topicPolicy": ("topics",),
    "contentPolicy": ("filters",),
    "wordPolicy": ("customWords", "managedWordLists"),
    "sensitiveInformationPolicy": ("piiEntities", "regexes"),
    "contextualGroundingPolicy": ("filters",),
}
_NAMES: Final = {
    "topics": "topic",
    "customWords": "word",
    "managedWordLists": "word",
    "regexes": "regex",
}
"""Findings without a type of their own; their texts could be those of the conversation."""


@dataclass(frozen=True, slots=True)
class Guardrail:
    """The guardrail that checks each request and answer."""

    identifier: str
    version: str
    trace: str | None = None

    def on_wire(self) -> Json:
        """The guardrail as a member of a request."""
        wire = {"guardrailIdentifier": self.identifier, "guardrailVersion": self.version}
        return wire if self.trace is None else {**wire, "trace": self.trace}


def filtered_by(trace: Json) -> list[str]:
    """The categories for which a guardrail blocked a prompt or an answer, in order.

    Args:
        trace: The `trace` of an answer; without `guardrail_trace` it has no findings.
    """
    return list(dict.fromkeys(_blocking(trace.get("guardrail"))))


def _blocking(node: object) -> Iterator[str]:
    """Assessments are by guardrail, and those of answers in lists besides."""
    if isinstance(node, list):
        for item in cast("list[object]", node):
            yield from _blocking(item)
    elif isinstance(node, dict):
        for name, value in cast(Json, node).items():
            if name in _POLICIES and isinstance(value, dict):
                yield from _of_policy(cast(Json, value), _POLICIES[name])
            else:
                yield from _blocking(value)


def _of_policy(policy: Json, lists: tuple[str, ...]) -> Iterator[str]:
    for name in lists:
        for finding in members(policy, name):
            if finding.get("action") == "BLOCKED":
                yield _NAMES.get(name) or str(finding.get("type", "")).lower()
