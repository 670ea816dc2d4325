"""Streams audit entries to sinks: at least once, in order, and never less than all of them.

Whoever streams to a sink holds its lease; the cursor moves in a commit of its own after the sink has taken a batch, and
only where the fence is still the same. A crash in between sends that batch again, with the same ids.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any, Protocol

import structlog

from metaqore import __version__, failpoints
from metaqore.audit.checkpoint import origin_of
from metaqore.clock import now_ms
from metaqore.delivery import signing
from metaqore.delivery.cloudevents import CONTENT_TYPES, Recorded, body_of, event
from metaqore.delivery.egress import EgressPolicy
from metaqore.delivery.ports import Network, Unreachable
from metaqore.delivery.sinks import Sink, SinkRows, backoff_ms, batch_of
from metaqore.delivery.webhooks import parse_retry_after
from metaqore.errors import InvalidInput, MetaQoreError, Unavailable

log = structlog.get_logger(__name__)

#: A batch stays below this many bytes, or is one entry.
MAX_BODY_BYTES = 1_000_000
_LEASE_MARGIN_MS = 15_000
_THREADS = 8


class Store(Protocol):
    """The database."""

    def read(self) -> AbstractContextManager[Any]:
        """Look-ups only."""

    def write(self) -> AbstractContextManager[Any]:
        """One write transaction."""


class LineFile(Protocol):
    """A file that grows by whole lines."""

    def append(self, path: str, lines: list[tuple[int, bytes]]) -> None:
        """Append (number, line) durably, but for those whose numbers are there.

        Raises:
            Unavailable: it cannot be written.
        """


class Refused(MetaQoreError):
    """A receiver answered with another status than 2xx."""

    code = "refused"

    def __init__(self, status: int, after_s: float | None) -> None:
        super().__init__(f"the receiver answered {status}")
        self.after_s = after_s


class Streamer:
    """One per process; ``run`` may be called as often as somebody looks.

    Args:
        log_name: the installation's name in origins and event sources.
    """

    def __init__(
        self,
        store: Store,
        network: Network,
        policy: EgressPolicy,
        files: LineFile,
        *,
        log_name: str,
        timeout_s: float = 15.0,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._store, self._network, self._policy, self._files = store, network, policy, files
        self._log_name, self._timeout_s, self._clock = log_name, timeout_s, clock
        self._flying: set[str] = set()
        self._guard = threading.Lock()
        self._closing = threading.Event()
        self._pool: ThreadPoolExecutor | None = None

    def look(self) -> int:
        """Begin to stream to every sink that is due and waits for nobody; return how many. Returns at once."""
        with self._store.read() as tx:
            rows: SinkRows = tx.reads("sinks")
            due = rows.due(self._clock())
        with self._guard:
            fresh = [sink for sink in due if sink.id not in self._flying][:_THREADS]
            self._flying.update(sink.id for sink in fresh)
        if fresh and self._pool is None:
            self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="sink")
        for sink in fresh:
            assert self._pool is not None
            self._pool.submit(self._fly, sink)
        return len(fresh)

    def close(self) -> None:
        """Begin nothing more, and wait for what is on its way."""
        self._closing.set()
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def run(self) -> int:
        """Stream to every sink that is due until none is, in this thread; return how many entries were taken."""
        total = 0
        while True:
            with self._store.read() as tx:
                rows: SinkRows = tx.reads("sinks")
                due = rows.due(self._clock())
            taken = sum(self.step(sink) for sink in due)
            total += taken
            if not taken:
                return total

    def step(self, sink: Sink) -> int:
        """Send the next batch to a sink; return how many entries it took, 0 where it failed or another is at it."""
        now = self._clock()
        with self._store.write() as tx:
            rows: SinkRows = tx.reads("sinks")
            if not rows.claim(sink, now, now + int(self._timeout_s * 1000) + _LEASE_MARGIN_MS):
                return 0
        with self._store.read() as tx:
            entries = tx.reads("sinks").entries(sink.organization, sink.cursor, batch_of(sink.failures))
        lines = _lines(entries, origin_of(self._log_name, sink.organization))
        sent, error = 0, None
        try:
            failpoints.hit("sink.before_send")
            for part in _parts(sink, lines):
                if sent and (self._closing.is_set() or self._clock() - now > _LEASE_MARGIN_MS // 2):
                    break  # what is sent now is answered before the lease ends
                self._send(sink, part)
                sent += len(part)
            failpoints.hit("sink.after_send")
        except (Unreachable, Refused, InvalidInput, Unavailable) as raised:
            error = raised
        return self._settle(sink, [number for number, _ in lines[:sent]], error)

    def _settle(self, sink: Sink, taken: list[int], error: MetaQoreError | None) -> int:
        """Record what a sink took, and what went wrong after that, in one commit; return how many entries it took."""
        with self._store.write() as tx:
            rows: SinkRows = tx.reads("sinks")
            mine = True
            if taken or error is None:
                sink.cursor, sink.failures = taken[-1] if taken else sink.cursor, 0
                mine = rows.advance(sink, sink.cursor, self._clock())
            if error is not None:
                self._failed(rows, sink, error)
            failpoints.hit("sink.before_commit")
        return len(taken) if mine else 0

    def _fly(self, sink: Sink) -> None:
        """Stream as long as the sink takes what there is."""
        try:
            while not self._closing.is_set() and self.step(sink):
                pass
        except MetaQoreError as error:
            # Its lease ends by itself; whoever looks then goes on.
            log.warning("audit_stream_failed", sink=sink.id, reason=error.code)
        except Exception:
            log.exception("audit_stream_failed", sink=sink.id)
        finally:
            with self._guard:
                self._flying.discard(sink.id)

    def _send(self, sink: Sink, lines: list[tuple[int, bytes]]) -> None:
        if sink.kind == "file":
            self._files.append(sink.target, lines)
            return
        body = body_of([line for _, line in lines], sink.mode)
        message = f"{sink.id}_{lines[0][0]}_{lines[-1][0]}"
        headers = {
            "content-type": CONTENT_TYPES[sink.mode], "user-agent": f"MetaQore/{__version__}",
            **signing.headers([sink.secret], message, self._clock() // 1000, body),
        }  # fmt: skip
        # The address that is checked is the address that is connected to, at each attempt anew.
        target, addresses = self._policy.admit(
            sink.target, lambda host, port: self._network.resolve(host, port, self._timeout_s)
        )
        reply = self._network.post(target, addresses, headers, body, self._timeout_s)
        if not 200 <= reply.status < 300:
            raise Refused(reply.status, parse_retry_after(reply.retry_after, self._clock()))

    def _failed(self, rows: SinkRows, sink: Sink, error: MetaQoreError) -> None:
        asked = error.after_s if isinstance(error, Refused) else None
        wait = backoff_ms(sink.failures + 1, random.random(), asked)
        log.warning("audit_sink_down", sink=sink.id, reason=error.code, failures=sink.failures + 1, cursor=sink.cursor)
        rows.postpone(sink, f"{error.code}: {error.message}"[:300], self._clock() + wait)


def _parts(sink: Sink, lines: list[tuple[int, bytes]]) -> Iterator[list[tuple[int, bytes]]]:
    """Yield what goes out at once: one event to a receiver that takes one, else all of them."""
    if sink.kind == "webhook" and sink.mode == "structured":
        yield from ([line] for line in lines)
    elif lines:
        yield lines


def _lines(entries: Sequence[Recorded], source: str) -> list[tuple[int, bytes]]:
    """Return (number, event) of the first entries, as many as one body may hold, one at least."""
    lines: list[tuple[int, bytes]] = []
    size = 0
    for entry in entries:
        made = event(entry, source)
        size += len(made) + 1
        if lines and size > MAX_BODY_BYTES:
            break
        lines.append((entry.seq, made))
    return lines
