import os
import subprocess
import sys
from pathlib import Path

import pytest

from teamrun.cli.serving.lock import FolderLock
from teamrun.errors import UsageError


def no_wait(_: float) -> None:
    pytest.fail("it waited")


def test_a_second_process_is_refused_with_the_pid_of_the_first(tmp_path: Path) -> None:
    first = FolderLock(tmp_path / "data")
    first.acquire()
    second = FolderLock(tmp_path / "data", sleep=no_wait)

    with pytest.raises(UsageError) as caught:
        second.acquire()
    assert caught.value.data == {"setting": "data_dir", "pid": os.getpid()}

    first.close()
    second.close()


def test_a_lock_that_was_given_up_can_be_taken(tmp_path: Path) -> None:
    first = FolderLock(tmp_path)
    first.acquire()
    first.close()

    second = FolderLock(tmp_path, sleep=no_wait)
    second.acquire()

    assert second.holder() == os.getpid()
    second.close()


def test_children_of_an_ended_process_are_waited_for(tmp_path: Path) -> None:
    """A child that inherited the lock of a process that is gone ends while we wait."""
    lock = FolderLock(tmp_path)
    holder = subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read()"],
        stdin=subprocess.PIPE,
        pass_fds=(lock.descriptor,),
    )
    lock.acquire()
    (tmp_path / "serve.lock").write_text(f"{dead_pid()}\n", encoding="ascii")
    os.close(lock.descriptor)
    waits: list[float] = []

    def end_the_child(seconds: float) -> None:
        waits.append(seconds)
        holder.communicate(timeout=10)

    later = FolderLock(tmp_path, sleep=end_the_child)
    later.acquire()

    assert len(waits) == 1
    later.close()


def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait(timeout=10)
    return process.pid
