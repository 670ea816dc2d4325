"""An HTTP server of our own on this machine, for what the demo and the attacks need somebody to call."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self


class LocalServer:
    """A server of this machine, for the time of a ``with`` block.

    Args:
        name: of its thread.
        answer: takes the headers, names in lower case, and the body of a POST; returns the JSON to answer with, None
            for an empty answer (204).
        host: the address to listen on.
        port: 0 for any that is free.

    Raises:
        OSError: it cannot listen there.
    """

    def __init__(
        self, name: str, answer: Callable[[Mapping[str, str], bytes], bytes | None], host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:  # fmt: skip
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                asked = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                body = answer({name.lower(): value for name, value in self.headers.items()}, asked)
                self.send_response(204 if body is None else 200)
                if body is not None:
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body or b"")

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  named by the base class
                """Say nothing: the terminal belongs to whoever started it."""

        self._server = ThreadingHTTPServer((host, port), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name=name, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def port(self) -> int:
        """Its port."""
        return self._server.server_port
