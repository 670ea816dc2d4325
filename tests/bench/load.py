"""A small HTTP/1.1 load generator: keep-alive connections on asyncio, no library between the clock and the socket."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Sample:
    """What one run of the generator saw. Latencies in milliseconds."""

    seconds: float
    latencies: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)

    @property
    def per_s(self) -> float:
        return len(self.latencies) / self.seconds

    def percentile(self, share: float) -> float:
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def request(method: str, path: str, host: str, headers: dict[str, str], body: object | None) -> bytes:
    """Return one request as bytes."""
    data = b"" if body is None else json.dumps(body, separators=(",", ":")).encode()
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", f"Content-Length: {len(data)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if body is not None:
        lines.append("Content-Type: application/json")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + data


async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, raw: bytes) -> tuple[int, bytes]:
    """Send one request and read its answer: (status, body)."""
    writer.write(raw)
    head = await reader.readuntil(b"\r\n\r\n")
    status = int(head[9:12])
    lower = head.lower()
    at = lower.find(b"content-length:")
    if at >= 0:
        length = int(lower[at + 15 : lower.index(b"\r\n", at)])
        return status, await reader.readexactly(length) if length else b""
    body = b""
    while True:
        size = int((await reader.readline()).strip() or b"0", 16)
        body += await reader.readexactly(size + 2)
        if size == 0:
            return status, body[:-2]
        body = body[:-2]


async def _client(host: str, port: int, make: Callable[[], bytes], until: Callable[[], bool], sample: Sample) -> None:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        while not until():
            raw = make()
            began = time.perf_counter()
            status, _ = await exchange(reader, writer, raw)
            sample.latencies.append((time.perf_counter() - began) * 1000)
            sample.statuses[status] = sample.statuses.get(status, 0) + 1
    finally:
        writer.close()


def run(host: str, port: int, make: Callable[[], bytes], *, clients: int, total: int) -> Sample:
    """Send ``total`` requests from ``clients`` connections, each waiting for its answer before the next."""
    left = total

    def until() -> bool:
        nonlocal left
        left -= 1
        return left < 0

    async def main() -> Sample:
        sample = Sample(0.0)
        began = time.perf_counter()
        await asyncio.gather(*(_client(host, port, make, until, sample) for _ in range(clients)))
        sample.seconds = time.perf_counter() - began
        return sample

    return asyncio.run(main())
