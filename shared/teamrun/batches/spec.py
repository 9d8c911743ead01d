"""What a batch and its items are, as they are stored."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from teamrun.components.definitions.base import TeamDefinition
from teamrun.core.refs import RunRef
from teamrun.dispatch.queues import Queue
from teamrun.json_types import JsonObject
from teamrun.runs.log.limits import Dollars, Limits, Seconds
from teamrun.runs.log.spec import ItemRef, Metadata, Retry, RunInput, RunSpec, TeamRef, Text
from teamrun.runs.log.webhook import BatchWebhook

__all__ = ["BatchLimits", "BatchSpec", "Place", "StoredItem", "Variant", "item_spec"]

Tokens = Annotated[int, Field(ge=1, le=1_000_000_000_000, strict=True)]


class BatchLimits(BaseModel):
    """Limits of all runs of a batch together.

    They are checked before more items start. Items that are in flight at that moment end normally,
    so the batch may exceed a limit by what they use.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    max_cost_usd: Dollars | None = None
    """Counts models whose price is known."""
    max_tokens: Tokens | None = None
    """Input and output tokens together."""
    timeout_seconds: Seconds | None = None
    """Maximum time since the batch was accepted, or since its last retry."""

    def changed(self, by: JsonObject) -> "BatchLimits":
        """These limits with the values of `by` in their place; None removes a limit."""
        return BatchLimits.model_validate({**self.model_dump(), **by})


class Variant(BaseModel):
    """A team, and the form of its output, as the runs of a batch pin them."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    team: TeamRef
    definition: TeamDefinition
    models: dict[str, str]
    tools: dict[str, str]
    agents: dict[str, str] = {}
    functions: dict[str, str] = {}
    output_schema: JsonObject | None = None


class StoredItem(BaseModel):
    """One item, as a line of a chunk."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    custom_id: str
    input: Text | RunInput
    variant: int = 0
    """The number of its team in `BatchSpec.variants`."""
    temperature: float | None = None
    metadata: Metadata = {}


class BatchSpec(BaseModel):
    """Everything that determines what a batch does, pinned when it is accepted."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    tenant: str
    batch_id: str
    variants: list[Variant]
    """The teams of the items; the first is that of items without overrides."""
    total: int
    """The number of items."""
    chunks: list[int]
    """The index of the first item of each chunk."""
    skipped: int = 0
    """The number of invalid lines that were skipped."""
    block: int
    """The number of items whose results are stored together."""
    max_concurrency: int
    limits: BatchLimits = BatchLimits()
    item_limits: Limits = Limits()
    retry: Retry = Retry()
    completion_window_seconds: float | None = None
    stops_at_failure: bool = False
    max_failure_rate: float | None = None
    min_sample: int = 20
    """How many items must have ended before the failure rate counts."""
    queue: Queue = Queue.BATCH
    input_file_id: str | None = None
    input_url: str | None = None
    metadata: Metadata = {}
    tags: list[str] = []
    seed: str
    webhook: BatchWebhook | None = None
    """Where the events of the batch are sent."""
    webhooks_at: datetime | None = None
    """As in the specification of a run."""
    created_at: datetime
    request_hash: str
    idempotency: str | None = None
    """The key of the Idempotency-Key's record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an item is in its batch."""

    round: int
    """The number of the round, from 1."""
    position: int
    """In the round, from 0."""
    index: int
    """In the input, from 0."""


def item_spec(
    batch: BatchSpec, item: StoredItem, ref: RunRef, place: Place, *, at: datetime
) -> RunSpec:
    """The specification of the run of an item."""
    variant = batch.variants[item.variant]
    # The parts are valid already; a validation would cost more than the rest of an acceptance.
    return RunSpec.model_construct(
        tenant=ref.tenant,
        run_id=ref.run_id,
        team=variant.team,
        definition=variant.definition,
        models=variant.models,
        tools=variant.tools,
        agents=variant.agents,
        functions=variant.functions,
        input=item.input,
        metadata=item.metadata,
        tags=batch.tags,
        temperature=item.temperature,
        output_schema=variant.output_schema,
        limits=batch.item_limits,
        retry=batch.retry,
        seed=f"{batch.seed}{place.round:04x}{place.index:08x}",
        created_at=at,
        request_hash="",
        webhooks_at=batch.webhooks_at,
        batch=ItemRef.model_construct(
            batch_id=batch.batch_id,
            index=place.index,
            position=place.position,
            round=place.round,
            custom_id=item.custom_id,
            queue=batch.queue,
        ),
    )
