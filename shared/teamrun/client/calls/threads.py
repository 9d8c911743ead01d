"""Calls of `/v1/threads`: conversations that runs continue."""

from collections.abc import Mapping

from teamrun.client.building import changing, delete, get, given, if_match, json_of, path_of, post
from teamrun.client.requests import Paged, Request
from teamrun.runs.service.resources import Run, RunPage
from teamrun.threads.resources import (
    Thread,
    ThreadMessage,
    ThreadMessages,
    ThreadPage,
    ThreadSnapshot,
)

__all__ = [
    "create_thread",
    "delete_thread",
    "get_thread",
    "list_threads",
    "thread_messages",
    "thread_runs",
    "thread_state",
    "update_thread",
]

_THREAD = json_of(Thread)
_PAGE = json_of(ThreadPage)
_MESSAGES = json_of(ThreadMessages)
_RUNS = json_of(RunPage)
_STATE = json_of(ThreadSnapshot)


def create_thread(
    *, metadata: Mapping[str, str] | None = None, idempotency_key: str | None = None
) -> Request[Thread]:
    """Create a thread; runs continue it with `thread_id`.

    Args:
        metadata: Up to 16 key-value pairs.
        idempotency_key: The key; without one, a random key that all attempts share.
    """
    body = given(metadata=metadata)
    return post(path_of("threads"), _THREAD, body, idempotency_key=idempotency_key)


def list_threads(*, limit: int | None = None, after: str | None = None) -> Paged[Thread]:
    """List the threads, the newest first. Iterating the result reads page after page.

    Args:
        limit: The number of threads per page, up to 100.
        after: The `next_cursor` of a page, to continue there.
    """
    return Paged(get(path_of("threads"), _PAGE, query={"limit": limit, "after": after}))


def get_thread(thread_id: str) -> Request[Thread]:
    """Read a thread."""
    return get(path_of("threads", thread_id), _THREAD)


def update_thread(
    thread_id: str, *, metadata: Mapping[str, str], revision: int | None = None
) -> Request[Thread]:
    """Replace the metadata of a thread.

    Args:
        thread_id: The thread.
        metadata: The new pairs.
        revision: The `revision` that the change is based on; without it, any.
    """
    body = {"metadata": dict(metadata)}
    return changing(post(path_of("threads", thread_id), _THREAD, body, method="PATCH"), revision)


def delete_thread(thread_id: str, *, revision: int | None = None) -> Request[None]:
    """Delete a thread without an active run; its runs are kept.

    Args:
        thread_id: The thread.
        revision: The `revision` that the deletion is based on; without it, any.
    """
    return delete(path_of("threads", thread_id), headers=if_match(revision))


def thread_messages(
    thread_id: str, *, limit: int | None = None, after: str | None = None
) -> Paged[ThreadMessage]:
    """Read the conversation, the oldest message first.

    Args:
        thread_id: The thread.
        limit: The number of messages per page, up to 100.
        after: The `next_cursor` of a page, to continue there.
    """
    query = {"limit": limit, "after": after}
    return Paged(get(path_of("threads", thread_id, "messages"), _MESSAGES, query=query))


def thread_runs(
    thread_id: str, *, limit: int | None = None, after: str | None = None
) -> Paged[Run]:
    """List the runs of a thread, the newest first.

    Args:
        thread_id: The thread.
        limit: The number of runs per page, up to 100.
        after: The `next_cursor` of a page, to continue there.
    """
    query = {"limit": limit, "after": after}
    return Paged(get(path_of("threads", thread_id, "runs"), _RUNS, query=query))


def thread_state(thread_id: str) -> Request[ThreadSnapshot]:
    """Read the state from which the next run continues."""
    return get(path_of("threads", thread_id, "state"), _STATE)
