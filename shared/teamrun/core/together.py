"""Work of several tasks at once that emits items to one caller, in the order in which they come."""

import asyncio
from asyncio import Future, Task
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from teamrun.core.emission import Emit

__all__ = ["emit_together", "end_all"]

ItemT = TypeVar("ItemT")


async def emit_together(
    works: Sequence[Callable[[Emit[ItemT]], Coroutine[Any, Any, None]]],
    emit: Emit[ItemT],
    *,
    until: Callable[[], bool] = lambda: False,
) -> None:
    """Do all of the work at once, each part in a task; all have ended when this returns or raises.

    Each part waits until its item was taken, as it would alone. The order is that of the event
    loop, so a durable run, whose loop is a function of its log, repeats it.

    Args:
        works: Functions that return the coroutine of a part, given the `Emit` that it shall use.
        emit: Takes the items of all parts, in the task of the caller.
        until: Asked after each part that has ended; if true, the others are cancelled.

    Raises:
        Exception: The first exception of a part, after the others were cancelled.
    """
    loop = asyncio.get_running_loop()
    # A queue with one reader, in the same steps of the loop as asyncio's, at a third of its cost.
    queue: deque[Task[None] | tuple[ItemT, Future[None]]] = deque()
    arrival: Future[None] | None = None

    def put(thing: Task[None] | tuple[ItemT, Future[None]]) -> None:
        queue.append(thing)
        if arrival is not None and not arrival.done():
            arrival.set_result(None)

    async def hand_over(item: ItemT) -> None:
        taken: Future[None] = loop.create_future()
        put((item, taken))
        await taken

    tasks = [loop.create_task(work(hand_over)) for work in works]
    for task in tasks:
        task.add_done_callback(put)
    running = len(tasks)
    try:
        while running:
            while not queue:
                arrival = loop.create_future()
                await arrival
            came = queue.popleft()
            if isinstance(came, Task):
                came.result()  # raises the task's exception
                running = 0 if until() else running - 1
                continue
            item, taken = came
            await emit(item)
            if not taken.done():
                taken.set_result(None)
    finally:
        await end_all(tasks)


async def end_all(tasks: Sequence[Task[Any]]) -> None:
    """Cancel what still runs and wait until it has stopped, so that nothing outlives the caller."""
    running = [task for task in tasks if not task.done()]
    for task in running:
        task.cancel()
    if running:
        await asyncio.wait(running)
    for task in tasks:
        if not task.cancelled():
            task.exception()  # so that asyncio does not report it as never retrieved
