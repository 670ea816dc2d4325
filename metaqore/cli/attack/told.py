"""A provider that says what it is told: it stands for a model that was poisoned, taken over, or talked into something.

It speaks the chat completions API of OpenAI. Which answer belongs to which call it knows by a word in the prompt.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
import yaml

#: Its name in the providers' file.
NAME = "told"


class Told:
    """The provider on a free port of 127.0.0.1, for the time of a ``with`` block."""

    def __init__(self) -> None:
        self._answers: dict[str, str] = {}
        self._guard = threading.Lock()
        answer = self._answer

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                asked = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                body = msgspec.json.encode(answer(msgspec.json.decode(asked)))
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  named by the base class
                """Say nothing: the terminal belongs to the report."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name=NAME, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def say(self, word: str, text: str) -> None:
        """Answer with ``text`` whoever has ``word`` in the prompt."""
        with self._guard:
            self._answers[word] = text

    def join(self, providers: Path) -> None:
        """Add this provider to a providers' file, as the last one."""
        data = yaml.safe_load(providers.read_text(encoding="utf-8"))
        data["providers"][NAME] = {
            "kind": "openai", "class": "local", "region": "local", "models": ["told-1"], "concurrency": 8,
            "base_url": f"http://127.0.0.1:{self._server.server_port}/v1",
        }  # fmt: skip
        providers.write_text(yaml.safe_dump(data, sort_keys=False), encoding="utf-8")

    def _answer(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        prompt = " ".join(str(message["content"]) for message in asked["messages"])
        with self._guard:
            text = next((text for word, text in self._answers.items() if word in prompt), "I was told nothing.")
        return {
            "model": asked["model"],
            "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
            "usage": {"prompt_tokens": len(prompt) // 4, "completion_tokens": len(text) // 4},
        }
