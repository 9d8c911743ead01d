"""The body of a message in the queues of the clouds: a JSON list of references.

A function of the platform receives it, so unlike a message for Celery it has no envelope.
"""

import json
from collections.abc import Sequence
from typing import Any, cast

from teamrun.core.refs import RunRef, is_delivery_id, is_run_id, is_tenant
from teamrun.dispatch.queues import Queue

__all__ = ["REFS_PER_MESSAGE", "decode_refs", "encode_refs"]

REFS_PER_MESSAGE = {Queue.INTERACTIVE: 1, Queue.BATCH: 10, Queue.HOOKS: 10}
"""Maximum number of references in one message, by queue.

One invocation of a function executes the runs of a message together. They mostly wait for models,
so ten of them cost about as many seconds as the longest one."""

_MOST_BYTES = 100_000
"""Far above what `encode_refs` returns; a larger body is from elsewhere."""
_MOST_REFS = 100
"""The same for the number of references, which cost a request each even if they are absent."""
_EXCERPT = 100


def encode_refs(refs: Sequence[RunRef]) -> str:
    """The body of a message that names these runs or deliveries."""
    return json.dumps([str(ref) for ref in refs], separators=(",", ":"))


def decode_refs(body: str | bytes) -> list[RunRef]:
    """The runs or deliveries that a body names, each once.

    Raises:
        ValueError: The body is not one of `encode_refs`.
    """
    if len(body) > _MOST_BYTES:
        raise ValueError(f"the body of a message has more than {_MOST_BYTES} bytes")
    try:
        texts: Any = json.loads(body)
    except RecursionError:
        texts = None
    if not isinstance(texts, list) or not texts:
        raise ValueError("the body of a message must be a JSON list of tenant.run_id")
    names = cast("list[object]", texts)
    if len(names) > _MOST_REFS:
        raise ValueError(f"a message names more than {_MOST_REFS} runs")
    return [*dict.fromkeys(map(_ref, names))]


def _ref(name: object) -> RunRef:
    if not isinstance(name, str):
        raise ValueError("a message names runs as texts of the form tenant.run_id")
    ref = RunRef.parse(name)
    if not is_tenant(ref.tenant) or not (is_run_id(ref.run_id) or is_delivery_id(ref.run_id)):
        raise ValueError(f"a message names {name[:_EXCERPT]!r}, which cannot be a tenant.run_id")
    return ref
