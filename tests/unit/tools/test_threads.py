"""Daemon threads for functions that block."""

import asyncio
import subprocess
import sys
import textwrap
import threading

import pytest

from teamrun.tools.threads import ThreadPool


class Gate:
    """A function that signals its start and blocks until it is released."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self.may_go_on = threading.Event()

    def __call__(self) -> str:
        self.began.set()
        self.may_go_on.wait(30)
        return "done"


async def until(event: threading.Event) -> None:
    await asyncio.to_thread(event.wait, 30)


async def test_calls_overlap_up_to_the_size_of_the_pool() -> None:
    pool, gates = ThreadPool(2), [Gate() for _ in range(3)]
    tasks = [asyncio.create_task(pool.run(gate)) for gate in gates]
    await until(gates[0].began)
    await until(gates[1].began)
    third_waits = not gates[2].began.is_set()
    for gate in gates:
        gate.may_go_on.set()
    assert await asyncio.gather(*tasks) == ["done"] * 3
    assert third_waits


async def test_threads_are_used_again() -> None:
    pool = ThreadPool(64)
    assert len({await pool.run(threading.get_ident) for _ in range(20)}) == 1


async def test_a_thread_that_was_replaced_ends_when_its_call_does() -> None:
    replaced: list[threading.Thread] = []
    pool, hanging = ThreadPool(1), Gate()

    def hang() -> None:
        replaced.append(threading.current_thread())
        hanging()

    task = asyncio.create_task(pool.run(hang))
    await until(hanging.began)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await pool.run(lambda: None)  # in another thread
    hanging.may_go_on.set()
    replaced[0].join(30)

    assert not replaced[0].is_alive()


async def test_calls_that_hang_and_were_cancelled_make_room_for_others() -> None:
    pool, hanging = ThreadPool(1), Gate()
    task = asyncio.create_task(pool.run(hanging))
    await until(hanging.began)
    waiting = asyncio.create_task(pool.run(lambda: "served"))
    await asyncio.sleep(0)
    task.cancel()
    try:
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await waiting == "served"
    finally:
        hanging.may_go_on.set()


async def test_a_call_cancelled_before_it_began_never_begins() -> None:
    pool, first, second = ThreadPool(1), Gate(), Gate()
    running = asyncio.create_task(pool.run(first))
    await until(first.began)
    waiting = asyncio.create_task(pool.run(second))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    first.may_go_on.set()
    await running
    await pool.run(lambda: None)
    assert second.began.is_set() is False


async def test_sys_exit_in_a_function_is_an_error_of_the_function() -> None:
    with pytest.raises(RuntimeError) as raised:
        await ThreadPool(1).run(lambda: sys.exit("no such order"))
    assert str(raised.value) == "no such order"
    assert isinstance(raised.value.__cause__, SystemExit)


async def test_stop_iteration_arrives_as_an_error_too() -> None:
    with pytest.raises(RuntimeError):
        await ThreadPool(1).run(lambda: next(iter(())))


def test_a_loop_that_is_gone_does_not_disturb_the_pool() -> None:
    pool, gate = ThreadPool(1), Gate()

    async def leave() -> None:
        task = asyncio.create_task(pool.run(gate))
        await until(gate.began)
        task.cancel()

    asyncio.run(leave())
    gate.may_go_on.set()

    async def again() -> str:
        return await pool.run(lambda: "served")

    assert asyncio.run(again()) == "served"


def test_a_hanging_function_does_not_keep_the_process_alive() -> None:
    program = textwrap.dedent(
        """
        import asyncio, threading
        from teamrun.tools.threads import run_in_thread

        async def main():
            began = threading.Event()
            def hang():
                began.set()
                threading.Event().wait()
            task = asyncio.create_task(run_in_thread(hang))
            while not began.is_set():
                await asyncio.sleep(0)
            task.cancel()

        asyncio.run(main())
        print("left")
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert done.stdout == "left\n"
