"""A thousand clients wait for verdicts at once, and every one hears its own."""

from __future__ import annotations

import asyncio
import json
import resource
import uuid
from pathlib import Path

import pytest

from tests.integration.api.test_redis_gone import drain
from tests.running import Running, running

CLIENTS = 1000


async def _wait_for(mq: Running, request: str, waiting: asyncio.Semaphore) -> dict[str, str]:
    reader, writer = await asyncio.open_connection("127.0.0.1", mq.settings.port)
    head = (
        f"GET /api/v1/requests/{request} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {mq.key}\r\n"
        "Prefer: wait=60\r\nConnection: close\r\n\r\n"
    )
    writer.write(head.encode())
    await writer.drain()
    waiting.release()
    answer = await reader.read()
    writer.close()
    headers, _, body = answer.partition(b"\r\n\r\n")
    assert headers.startswith(b"HTTP/1.1 200"), headers
    found: dict[str, str] = json.loads(body)
    assert found["id"] == request
    return found


async def _all_wait(mq: Running, requests: list[str]) -> list[dict[str, str]]:
    waiting = asyncio.Semaphore(0)
    tasks = [asyncio.create_task(_wait_for(mq, request, waiting)) for request in requests]
    for _ in tasks:
        await waiting.acquire()
    await asyncio.to_thread(drain, mq.settings)
    return await asyncio.wait_for(asyncio.gather(*tasks), 55)


@pytest.mark.slow
def test_a_thousand_clients_wait_at_once(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4 * CLIENTS)), hard))
    with running(tmp_path, worker=False, web_workers=2) as mq:
        project = mq.project()
        body = [{"project": project, "type": "code", "name": uuid.uuid4().hex, "content": 1} for _ in range(CLIENTS)]
        ids = [
            item["id"]
            for at in range(0, CLIENTS, 500)
            for item in mq.post("/artifacts/batch", {"items": body[at : at + 500]}).json["items"]
        ]

        answers = asyncio.run(_all_wait(mq, ids))

    assert [answer["state"] for answer in answers] == ["succeeded"] * CLIENTS
