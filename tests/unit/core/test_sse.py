"""Server-sent events come out the same, whatever the pieces in which their bytes arrive."""

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from teamrun.core.sse import Event, EventReader

LINES = st.sampled_from(
    [
        "",
        "data: x",
        "data:y",
        "data",
        "data: ü\u2028",
        "event: error",
        "id: 1",
        "retry: 5",
        ": ping",
        "odd",
    ]
)
ENDS = st.sampled_from(["\n", "\r\n", "\r"])


def read(*pieces: bytes) -> list[Event]:
    reader = EventReader()
    return [event for piece in pieces for event in reader.feed(piece)] + reader.close()


@example([("data:y", "\r\n"), ("", "\n"), ("data: x", "\n")], [7, 8])
@given(st.lists(st.tuples(LINES, ENDS)), st.lists(st.integers(0, 200)))
def test_pieces_of_any_size_give_the_same_events(
    lines: list[tuple[str, str]], cuts: list[int]
) -> None:
    body = "".join(line + end for line, end in lines).encode()
    places = sorted({0, len(body), *(cut for cut in cuts if cut < len(body))})
    pieces = [body[start:end] for start, end in pairwise(places)]
    assert read(*pieces) == read(body)


@given(st.lists(st.tuples(LINES, ENDS)))
def test_only_events_with_data_come_out(lines: list[tuple[str, str]]) -> None:
    body = "".join(line + end for line, end in lines).encode()
    assert all(event.data for event in read(body))


@pytest.mark.parametrize(
    ("body", "events"),
    [
        (b"data: a\n\n", [Event("", "a")]),
        (
            b"event: error\ndata: a\ndata: b\n\ndata: c\n\n",
            [Event("error", "a\nb"), Event("", "c")],
        ),
        (b"\xef\xbb\xbfdata: a\r\rdata: b", [Event("", "a"), Event("", "b")]),
        (b"retry: 1\n\nid: 2\n\n: x\n\nevent: ping\ndata:\n\n", []),
        (b"data: \xff\n\n", [Event("", "\ufffd")]),
        (b"id: 7\ndata: a\n\ndata: b\n\n", [Event("", "a", "7"), Event("", "b")]),
        (b"id: 7\0\ndata: a\n\n", [Event("", "a")]),
    ],
)
def test_events_and_other_items(body: bytes, events: list[Event]) -> None:
    assert read(body) == events
