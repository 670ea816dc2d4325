"""The open requests of a queue, a batch at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from metaqore.messages import Request

#: Returns open requests above a number, studied; keys that must wait are in the set, and those found are added.
Peek = Callable[[int, set[str]], list[Request]]


class Backlog:
    """Gives a drain its batches, and reads the next one while the present one waits for the write lock.

    What is read ahead is decided only where everything before it was: nothing overtakes within its ordering key.

    Args:
        size: of a full batch.
    """

    def __init__(self, peek: Peek, size: int) -> None:
        self._peek = peek
        self._size = size
        self._blocked: set[str] = set()
        self._batch: Sequence[Request] = ()
        self._ahead: list[Request] | None = None

    def take(self) -> Sequence[Request]:
        """Return the next batch; empty where there is none."""
        if self._ahead:
            self._batch, self._ahead = self._ahead, None
        else:
            self._blocked, self._ahead = set(), None
            self._batch = self._peek(0, self._blocked)
        return self._batch

    def look_ahead(self) -> None:
        """Read the batch after the present one; only a full one has any."""
        if self._ahead is None and len(self._batch) == self._size:
            self._ahead = self._peek(self._batch[-1].seq, self._blocked)

    def is_more(self, decided: int, waiting: set[str]) -> bool:
        """Return whether to take another batch, after ``decided`` of the present one were decided.

        Args:
            waiting: ordering keys of which something was left open.
        """
        if waiting or decided < len(self._batch):
            self._ahead = None
        # Where another worker holds these, it looks again when it is done; and where that was all, whatever has come
        # since rings for itself.
        return decided > 0 and (self._ahead is not None or len(self._batch) == self._size)
