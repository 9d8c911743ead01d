"""`python -m teamrun.cli.serving.embedded FOLDER SOCKET`: run an embedded Valkey.

stdin is a pipe whose other end the supervisor, the API and the worker have: it closes when the last
of them is gone, and only then the server is stopped.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from teamrun.cli.serving.valkey import arguments, command, find_program, make_private

__all__ = ["main"]

START_S = 20.0
STOP_S = 10.0
POLL_S = 0.02
LOG_TAIL = 2000
PR_SET_PDEATHSIG = 1


def main() -> int:
    """Run the server until stdin closes; status 1 if it ended by itself."""
    folder, sock = Path(sys.argv[1]), Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    make_private(sock.parent)
    _stop_leftover(sock, folder)
    server = subprocess.Popen(
        [find_program(), *arguments(sock=sock, folder=folder)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=_die_with_parent,
    )
    wanted = threading.Event()

    def stop(*_: Any) -> None:
        wanted.set()
        server.terminate()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if not _answers(server, sock):
        server.kill()
        sys.stderr.write(f"The embedded Valkey does not start:\n{_log_tail(folder)}\n")
        return 1
    threading.Thread(target=_stop_at_eof, args=(stop,), daemon=True).start()
    server.wait()
    sock.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        sock.parent.rmdir()
    return 0 if wanted.is_set() else 1


def _die_with_parent() -> None:
    # On other systems than Linux a kill -9 of this process leaves the server to the next start.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _stop_at_eof(stop: Callable[[], None]) -> None:
    while os.read(0, 1024):
        pass
    stop()


def _answers(server: subprocess.Popen[bytes], sock: Path) -> bool:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and server.poll() is None:
        # A server that still loads its file answers -LOADING.
        if (command(sock, "PING") or b"").startswith(b"+PONG"):
            return True
        time.sleep(POLL_S)
    return False


def _stop_leftover(sock: Path, folder: Path) -> None:
    """End the server of an earlier `serve`: the folder is locked, so it is no other process's."""
    if command(sock, "PING") is not None:
        command(sock, "SHUTDOWN")
        deadline = time.monotonic() + STOP_S
        while (folder / "valkey.pid").exists() and time.monotonic() < deadline:
            time.sleep(POLL_S)
    sock.unlink(missing_ok=True)


def _log_tail(folder: Path) -> str:
    try:
        return (folder / "valkey.log").read_text(encoding="utf-8", errors="replace")[-LOG_TAIL:]
    except OSError:
        return "(it has left no log)"


if __name__ == "__main__":
    sys.exit(main())
