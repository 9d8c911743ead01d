"""The event loop of a process: Ctrl-C ends it, other attempts to exit do not."""

import asyncio
import os
import signal

import pytest

from teamrun.core import main_loop
from teamrun.core.main_loop import run_main


def test_ctrl_c_in_the_first_step_ends_it() -> None:
    async def main() -> str:
        signal.raise_signal(signal.SIGINT)  # while it imports, for example
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return "went on"

    with pytest.raises(KeyboardInterrupt):
        run_main(main())


def test_ctrl_c_later_ends_it_and_lets_it_clean_up() -> None:
    steps: list[str] = []

    async def main() -> None:
        await asyncio.sleep(0)
        try:
            signal.raise_signal(signal.SIGINT)
            await asyncio.sleep(30)
        finally:
            await asyncio.sleep(0)
            steps.append("cleaned up")

    with pytest.raises(KeyboardInterrupt):
        run_main(main())
    assert steps == ["cleaned up"]


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_an_exit_of_another_task_does_not_end_it(kind: type[BaseException]) -> None:
    async def leave() -> None:
        raise kind

    async def main() -> str:
        task = asyncio.create_task(leave())
        await asyncio.wait({task})
        return "went on"

    assert run_main(main()) == "went on"


def test_what_it_raises_is_raised() -> None:
    async def main() -> None:
        raise LookupError

    with pytest.raises(LookupError):
        run_main(main())


def test_two_interrupts_within_a_moment_are_one() -> None:
    steps: list[str] = []

    async def main() -> None:
        try:
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.sleep(30)
        finally:
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.sleep(0)
            steps.append("cleaned up")

    with pytest.raises(KeyboardInterrupt):
        run_main(main())
    assert steps == ["cleaned up"]


def test_a_later_interrupt_ends_it_at_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(main_loop, "_SAME_S", 0.0)
    steps: list[str] = []

    async def main() -> None:
        try:
            signal.raise_signal(signal.SIGINT)
            await asyncio.sleep(30)
        finally:
            signal.raise_signal(signal.SIGINT)
            steps.append("cleaned up")

    with pytest.raises(KeyboardInterrupt):
        run_main(main())
    assert steps == []
    assert caplog.records == []


def test_afterwards_the_process_has_its_handler_again() -> None:
    async def main() -> None:
        assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler

    run_main(main())
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
