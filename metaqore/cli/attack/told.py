"""A provider that says what it is told: it stands for a model that was poisoned, taken over, or talked into something.

It speaks the chat completions API of OpenAI. Which answer belongs to which call it knows by a word in the prompt.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path

import msgspec
import yaml

from metaqore.cli.local_server import LocalServer

#: Its name in the providers' file.
NAME = "told"


class Told(LocalServer):
    """The provider, for the time of a ``with`` block.

    Args:
        host: where it listens.
        port: 0 for any that is free.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self._answers: dict[str, str] = {}
        self._guard = threading.Lock()
        super().__init__(NAME, self._answer, host, port)

    def say(self, word: str, text: str) -> None:
        """Answer with ``text`` whoever has ``word`` in the prompt."""
        with self._guard:
            self._answers[word] = text

    def join(self, providers: Path) -> None:
        """Add this provider to a providers' file, as the last one."""
        data = yaml.safe_load(providers.read_text(encoding="utf-8"))
        data["providers"][NAME] = entry("127.0.0.1", self.port)
        providers.write_text(yaml.safe_dump(data, sort_keys=False), encoding="utf-8")

    def _answer(self, _headers: Mapping[str, str], body: bytes) -> bytes:
        asked = msgspec.json.decode(body)
        prompt = " ".join(str(message["content"]) for message in asked["messages"])
        with self._guard:
            text = next((text for word, text in self._answers.items() if word in prompt), "I was told nothing.")
        return msgspec.json.encode({
            "model": asked["model"],
            "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
            "usage": {"prompt_tokens": len(prompt) // 4, "completion_tokens": len(text) // 4},
        })  # fmt: skip


def entry(host: str, port: int) -> dict[str, object]:
    """Return what a providers' file has to say of this provider."""
    return {"kind": "openai", "class": "local", "region": "local", "models": ["told-1"], "concurrency": 8,
            "base_url": f"http://{host}:{port}/v1"}  # fmt: skip
