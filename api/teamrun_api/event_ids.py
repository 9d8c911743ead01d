"""Event ids in requests: where a client goes on to read the events of a run or a batch."""

import re

from teamrun_api.faults import InvalidParameter, RequestFault

__all__ = ["seq_of", "start_after"]

_SEQ = re.compile(r"[0-9]{1,12}")


def start_after(last: str | None, owner: str, after: str | None) -> int:
    """The number of the last event that the client has.

    Args:
        last: `Last-Event-ID`, which takes precedence.
        owner: The id of the run or batch.
        after: The query parameter.

    Raises:
        InvalidParameter: It is no event of this owner.
    """
    try:
        if last:
            return seq_of(last, owner)
        return seq_of(after, owner) if after else 0
    except ValueError as error:
        fault = RequestFault(
            str(error),
            "invalid_event_id",
            header="Last-Event-ID" if last else None,
            parameter=None if last else "after",
        )
        raise InvalidParameter(str(error), faults=[fault]) from None


def seq_of(text: str, owner: str) -> int:
    """The number in an event id, or the number itself.

    Raises:
        ValueError: It is no event of this owner.
    """
    named, dash, seq = text.rpartition("-")
    if dash and named != owner:
        raise ValueError(f"{text[:128]!r} is not an event of {owner!r}; send one of its ids.")
    if not _SEQ.fullmatch(seq):
        raise ValueError(f"{text[:128]!r} is no event id; send one such as '{owner}-12', or 12.")
    return int(seq)
