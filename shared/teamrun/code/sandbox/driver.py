"""Process 1 of a sandbox: executes the blocks of code that it reads from standard input.

`SandboxCodeExecutor` passes the text of this module to the sandbox's Python as `-c`. So it uses the
standard library alone, and no file in the sandbox is part of it. Because it is process 1, it gets
no signal from the code, and the kernel ends all other processes of the sandbox when it exits.

A job and its reply have the same form: 4 bytes with the length of a JSON object, the object, and
the contents of the files that it names, one after the other.
"""

import contextlib
import json
import os
import resource
import select
import signal
import stat
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

__all__ = ["main"]

WORK = "/work"
FOLDERS = (WORK, "/tmp", "/dev/shm")
TIMED_OUT = 124
"""The exit code of `timeout` of the GNU core utilities."""
PYTHONS = ("python", "py")
SHELLS = {"bash": "bash", "sh": "sh", "shell": "sh"}


def main() -> None:
    """Execute jobs until standard input ends."""
    settings = json.loads(sys.argv[1])
    limit(settings)
    sandbox = Sandbox(settings)
    while job := read_object(sys.stdin.buffer):
        reply, paths = sandbox.execute(job)
        write(reply, paths)


def limit(settings: dict[str, Any]) -> None:
    """Set the limits that hold for this process and all that it starts."""
    for name, value in settings["limits"].items():
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (value, value))


class Sandbox:
    """Executes jobs; what code leaves in the folders stays for the next job."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._settings = settings
        self._kernel: Kernel | None = None

    def execute(self, job: dict[str, Any]) -> tuple[dict[str, Any], list[tuple[str, int]]]:
        """The reply to a job, and the paths and sizes of the files that it names."""
        for path, size in job["files"]:
            store(path, sys.stdin.buffer, size)
        signal_all(signal.SIGCONT)
        unnamed: set[str] = set()
        before = dict(self._regular_files())
        results: list[tuple[int, str, int]] = []
        for language, code in job["blocks"]:
            results.append(self._execute(language.lower(), code, unnamed))
            if results[-1][0]:
                break
        # What a session leaves behind does not run between two jobs.
        signal_all(signal.SIGSTOP)
        changed = [
            path
            for path, state in self._regular_files()
            if path not in unnamed and before.get(path) != state
        ]
        kept = self._within_limits(changed)
        named = [(os.path.relpath(path, WORK), size) for path, size in kept]
        reply = {"results": results, "files": named, "left_out": len(changed) - len(kept)}
        return reply, kept

    def _execute(self, language: str, code: str, unnamed: set[str]) -> tuple[int, str, int]:
        if language in PYTHONS and self._settings["kernel"]:
            return self._run_in_kernel(code)
        if language in PYTHONS:
            command, ending = [self._settings["python"]], "py"
        elif language in SHELLS:
            command, ending = [SHELLS[language]], language
        else:
            return 1, f"\nunknown language {language}", 0
        first, _, _ = code.partition("\n")
        data = code.encode("utf-8", "replace")
        if first.startswith("# filename:"):
            path = inside(first.removeprefix("# filename:").strip())
            if path is None:
                return 1, "Filename is not in the workspace", 0
        else:
            path = f"{WORK}/tmp_code_{sha256(data).hexdigest()}.{ending}"
            unnamed.add(path)
        try:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            with Path(path).open("wb") as file:
                file.write(data)
            return self._run([*command, path])
        except (OSError, subprocess.SubprocessError) as error:
            return 1, f"The code was not executed: {error}", 0

    def _run(self, command: list[str]) -> tuple[int, str, int]:
        output, end = os.pipe()
        try:
            process = subprocess.Popen(
                command,
                cwd=WORK,
                stdin=subprocess.DEVNULL,
                stdout=end,
                stderr=end,
                start_new_session=True,
                preexec_fn=self._limit_cpu,
            )
        finally:
            os.close(end)
        collected = Output(output, self._settings["output_bytes"])
        ended = None
        try:
            status = self._status(process.pid, collected)
        except Ended as error:
            status, ended = None, error
        if ended is None and self._settings["kernel"]:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        else:
            end_all()
        process.returncode = 0  # it has been reaped
        collected.drain()
        os.close(output)
        if ended is None:
            return exit_code(status or 0), *collected.text()
        text, left_out = collected.text()
        return ended.exit_code, f"{text}\n{ended}", left_out

    def _run_in_kernel(self, code: str) -> tuple[int, str, int]:
        kernel = self._kernel = self._kernel or Kernel(self._settings)
        collected = Output(kernel.output, self._settings["output_bytes"])
        note = ""
        try:
            kernel.send(code)
            status = self._status(kernel.pid, collected, kernel.reply)
        except Ended as error:
            status, note = error.exit_code << 8, f"\n{error}"
        except OSError:
            status = 1 << 8
        collected.drain()
        if not kernel.has_replied:
            # It was ended, or has ended itself: what it had in memory is lost.
            end_all()
            kernel.close()
            self._kernel = None
            note += "\nThe variables and imports of the session are lost"
        text, left_out = collected.text()
        return exit_code(status), text + note, left_out

    def _limit_cpu(self) -> None:
        seconds = self._settings["cpu_seconds"]
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))

    def _status(
        self, pid: int, output: "Output", reply: "Callable[[], int | None]" = lambda: None
    ) -> int:
        """Wait for a process, or for the reply of the kernel.

        Raises:
            Ended: A limit is reached.
        """
        deadline = time.monotonic() + self._settings["timeout"]
        while True:
            output.wait(0.05)
            if (replied := reply()) is not None:
                return replied << 8
            with contextlib.suppress(ChildProcessError):
                # All, since processes that have lost their parents are children of process 1.
                while (found := os.waitpid(-1, os.WNOHANG))[0]:
                    if found[0] == pid:
                        return found[1]
            if time.monotonic() > deadline:
                raise Ended("Timeout", TIMED_OUT)
            if self._entries() > self._settings["entries"]:
                raise Ended(f"More than {self._settings['entries']} files were created", 1)

    def _entries(self) -> int:
        found = [os.statvfs(folder) for folder in FOLDERS]
        return sum(each.f_files - each.f_ffree for each in found)

    def _regular_files(self) -> Iterator[tuple[str, tuple[int, int, int]]]:
        """The paths of the files that code can leave, each with what changes if it is written."""
        seen, folders = 0, [(WORK, 0)]
        while folders:
            folder, depth = folders.pop()
            with contextlib.suppress(OSError), os.scandir(folder) as entries:
                for entry in sorted(entries, key=lambda each: each.name):
                    seen += 1
                    if seen > self._settings["entries"]:
                        return
                    if entry.name.startswith(".") or entry.name == "__pycache__":
                        continue
                    with contextlib.suppress(OSError):
                        state = entry.stat(follow_symlinks=False)
                        if stat.S_ISDIR(state.st_mode) and depth < self._settings["depth"]:
                            folders.append((entry.path, depth + 1))
                        elif stat.S_ISREG(state.st_mode):
                            yield entry.path, (state.st_ino, state.st_size, state.st_mtime_ns)

    def _within_limits(self, paths: list[str]) -> list[tuple[str, int]]:
        kept: list[tuple[str, int]] = []
        total = 0
        for path in sorted(paths):
            size = os.lstat(path).st_size
            is_one_more = len(kept) < self._settings["max_files"]
            if is_one_more and total + size <= self._settings["max_file_bytes"]:
                kept.append((path, size))
                total += size
        return kept


class Ended(Exception):
    """A limit ended the code; the text is for the model."""

    def __init__(self, text: str, exit_code: int) -> None:
        super().__init__(text)
        self.exit_code = exit_code


class Kernel:
    """A Python process that keeps what code leaves in memory."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.output, output_end = os.pipe()
        jobs_end, self._jobs = os.pipe()
        self._replies, replies_end = os.pipe()
        os.set_blocking(self._replies, False)
        self.has_replied = False
        ends = (jobs_end, replies_end)
        self._process = subprocess.Popen(
            [settings["python"], "-c", settings["kernel"], *map(str, ends)],
            cwd=WORK,
            stdin=subprocess.DEVNULL,
            stdout=output_end,
            stderr=output_end,
            start_new_session=True,
            pass_fds=ends,
        )
        self.pid = self._process.pid
        self._process.returncode = 0  # the driver reaps all processes itself
        for end in (output_end, *ends):
            os.close(end)

    def send(self, code: str) -> None:
        """Let it execute a text.

        Raises:
            OSError: It has ended.
        """
        self.has_replied = False
        with open(self._jobs, "w", encoding="utf-8", closefd=False) as jobs:
            jobs.write(json.dumps(code) + "\n")

    def reply(self) -> int | None:
        """The exit code of the text; None: it is still executed."""
        try:
            reply = os.read(self._replies, 1)
        except BlockingIOError:
            return None
        self.has_replied = bool(reply)
        return reply[0] if reply else None

    def close(self) -> None:
        """Close the pipes to it."""
        for descriptor in (self.output, self._jobs, self._replies):
            os.close(descriptor)


class Output:
    """What processes write to a pipe, of which the first bytes are kept."""

    def __init__(self, descriptor: int, most: int) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor
        self._most = most
        self._kept = bytearray()
        self._size = 0
        self._is_open = True

    def wait(self, seconds: float) -> None:
        """Read what there is, after waiting for it."""
        if self._is_open:
            if select.select([self._descriptor], [], [], seconds)[0]:
                self._read()
        else:
            time.sleep(0.002)

    def drain(self) -> None:
        """Read what is left; all writers have ended."""
        while self._is_open and self._read():
            pass

    def text(self) -> tuple[str, int]:
        """The text, and how many bytes are not in it."""
        return self._kept.decode("utf-8", "replace"), self._size - len(self._kept)

    def _read(self) -> bool:
        try:
            chunk = os.read(self._descriptor, 65536)
        except BlockingIOError:
            return False
        self._is_open = bool(chunk)
        self._size += len(chunk)
        self._kept += chunk[: self._most - len(self._kept)]
        return self._is_open


def signal_all(number: int) -> None:
    """Send a signal to all processes of the sandbox but this one."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, number)


def end_all() -> None:
    """End all processes of the sandbox but this one."""
    with contextlib.suppress(ChildProcessError, ProcessLookupError):
        while True:
            os.kill(-1, signal.SIGKILL)
            os.waitpid(-1, 0)


def exit_code(status: int) -> int:
    """The exit code as shells report it: 128 plus the signal."""
    return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def inside(name: str) -> str | None:
    """The path of a file in the work folder; None if it would be elsewhere."""
    path = os.path.realpath(Path(WORK, name))
    return path if path.startswith(f"{WORK}/") else None


def store(path: str, source: BinaryIO, size: int) -> None:
    """Write a file of a job; one that cannot be written is read all the same."""
    target = inside(path) or os.devnull
    with contextlib.ExitStack() as stack:
        file = None
        with contextlib.suppress(OSError):
            Path(target).parent.mkdir(parents=True, exist_ok=True)
            file = stack.enter_context(Path(target).open("wb"))
        while size and (chunk := source.read(min(size, 1 << 16))):
            size -= len(chunk)
            with contextlib.suppress(OSError):
                if file is not None:
                    file.write(chunk)


def read_object(source: BinaryIO) -> dict[str, Any] | None:
    """The object at the beginning of a job; None if there is no more job."""
    head = source.read(4)
    if len(head) < 4:
        return None
    return json.loads(source.read(struct.unpack(">I", head)[0]))


def write(reply: dict[str, Any], paths: list[tuple[str, int]]) -> None:
    """Write a reply and its files to standard output."""
    target = sys.stdout.buffer
    text = json.dumps(reply).encode()
    target.write(struct.pack(">I", len(text)) + text)
    for path, size in paths:
        left = size
        with contextlib.suppress(OSError), Path(path).open("rb") as file:
            while left and (chunk := file.read(min(left, 1 << 16))):
                target.write(chunk)
                left -= len(chunk)
        target.write(bytes(left))
    target.flush()


if __name__ == "__main__":
    main()
