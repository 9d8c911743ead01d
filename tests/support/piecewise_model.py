"""An OpenAI-compatible server that streams an answer piece by piece, controlled by a test."""

import json
import queue
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

__all__ = ["BREAK", "END", "Pieces", "piecewise_model"]

END: Final = "\0end"
BREAK: Final = "\0break"
_HEAD: Final = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o"}


class Pieces:
    """The next part that the server sends."""

    def __init__(self) -> None:
        self.queue: queue.Queue[str] = queue.Queue()
        self.base_url = ""

    def send(self, *pieces: str) -> None:
        """Send pieces of text, or `END` of the answer, or `BREAK` the connection."""
        for piece in pieces:
            self.queue.put(piece)


@contextmanager
def piecewise_model() -> Generator[Pieces]:
    """The server, on a free port of this machine."""
    pieces = Pieces()

    class Answer(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if not body.get("stream"):
                self._whole("".join(iter(pieces.queue.get, END)))
                return
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Connection", "close")
            self.end_headers()
            self.close_connection = True
            self._chunk({"role": "assistant", "content": ""}, None)
            while (piece := pieces.queue.get()) != END:
                if piece == BREAK:
                    return
                self._chunk({"content": piece}, None)
            self._chunk({}, "stop")
            self.wfile.write(b"data: [DONE]\n\n")

        def _whole(self, text: str) -> None:
            message = {"role": "assistant", "content": text}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            answer = {**_HEAD, "object": "chat.completion", "choices": [choice]}
            data = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def _chunk(self, delta: dict[str, str], reason: str | None) -> None:
            choice = {"index": 0, "delta": delta, "finish_reason": reason}
            self.wfile.write(f"data: {json.dumps({**_HEAD, 'choices': [choice]})}\n\n".encode())
            self.wfile.flush()

        def log_message(self, format: str, *args: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        pieces.base_url = f"http://127.0.0.1:{server.server_port}/v1"
        try:
            yield pieces
        finally:
            pieces.send(*[END] * 100)
            server.shutdown()
            thread.join()
