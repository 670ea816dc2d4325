"""MetaQore's own numbers, measured through the door: HTTP, queue, worker, database."""

from __future__ import annotations

import itertools
import json
import random
import time
from collections.abc import Callable
from typing import Any

from metaqore.store.engine import Database
from tests.bench import load
from tests.running import Running

_names = itertools.count()


def declaration(project: str, name: str, *, base: int | None = None, needs: str | None = None) -> dict[str, Any]:
    """Return a declaration with about 400 bytes of content."""
    body: dict[str, Any] = {"project": project, "type": "doc", "name": name, "content": {"text": "x" * 380}}
    if base is not None:
        body["base_version"] = base
    if needs is not None:
        body["depends_on"] = [{"type": "doc", "name": needs}]
    return body


_WORDS = (
    "a agent an and answer are as at batch be before between by change check client code commit content copy data "
    "decide each edit event every file first for from has how in index is it its keep key last line list lock log make "
    "may merge message model name new no not of on one only open or order other out page part path plan project queue "
    "read record request review rule run same scope seen send set size so state step store table task test than that "
    "the their then there these they this time to two under until use value version view wait was what when where "
    "which while who will with work write"
).split()


def prose(numbers: random.Random) -> str:
    """Return a text of about 400 bytes that no other artifact has."""
    return " ".join(numbers.choices(_WORDS, k=84))


def workload(project: str, total: int, *, texts: bool = False) -> list[dict[str, Any]]:
    """Return declarations of which a tenth conflicts and a third has a dependency.

    Args:
        texts: each has a text of its own, so that its hash is looked for among the others'; else one filler for all.
    """
    run = next(_names)
    numbers = random.Random(run)
    items: list[dict[str, Any]] = []
    for i in range(total):
        needs = f"r{run}-n{i - 1}" if i % 3 == 1 and (i - 1) % 10 != 9 else None
        items.append(declaration(project, f"r{run}-n{i}", base=7 if i % 10 == 9 else None, needs=needs))
        if texts:
            items[-1]["content"] = {"text": prose(numbers)}
    return items


def _headers(mq: Running, **more: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {mq.key}", **more}


def _open(database: Database) -> int:
    with database.read() as connection:
        count: int = connection.exec_driver_sql(
            "SELECT count(*) FROM requests WHERE state IN ('accepted', 'running')"
        ).scalar_one()
    return count


def bulk(
    mq: Running, database: Database, project: str, *, total: int, batch: int, texts: bool = False
) -> float:  # fmt: skip
    """Return declarations a second, from the first byte sent until the last verdict is committed."""
    items = workload(project, total, texts=texts)
    host = f"127.0.0.1:{mq.settings.port}"
    raws = [
        load.request("POST", "/api/v1/artifacts/batch", host, _headers(mq), {"items": items[i : i + batch]})
        for i in range(0, total, batch)
    ]
    queue = iter(raws)
    began = time.perf_counter()
    sample = load.run("127.0.0.1", mq.settings.port, lambda: next(queue), clients=2, total=len(raws))
    if set(sample.statuses) != {202}:
        raise RuntimeError(f"batches were not all accepted: {sample.statuses}")
    while _open(database):
        time.sleep(0.005)
    return total / (time.perf_counter() - began)


def singles(mq: Running, project: str, *, clients: int, total: int, wait: bool) -> load.Sample:
    """Submit one by one from ``clients`` connections; with ``wait`` each answer is the verdict."""
    host = f"127.0.0.1:{mq.settings.port}"
    headers = _headers(mq, **({"Prefer": "wait=30"} if wait else {}))
    run = next(_names)
    numbers = itertools.count()
    make: Callable[[], bytes] = lambda: load.request(  # noqa: E731
        "POST", "/api/v1/artifacts", host, headers, declaration(project, f"s{run}-{next(numbers)}")
    )
    sample = load.run("127.0.0.1", mq.settings.port, make, clients=clients, total=total)
    wanted = {201} if wait else {202}
    if set(sample.statuses) != wanted:
        raise RuntimeError(f"expected only {wanted}: {sample.statuses}")
    return sample


def validate(port: int, *, clients: int, total: int) -> load.Sample:
    """The bare endpoint with the same declarations."""
    host = f"127.0.0.1:{port}"
    numbers = itertools.count()
    make: Callable[[], bytes] = lambda: load.request(  # noqa: E731
        "POST", "/validate", host, {}, declaration("prj_0", f"v{next(numbers)}")
    )
    return load.run("127.0.0.1", port, make, clients=clients, total=total)


def fill(mq: Running, database: Database, project: str, total: int) -> None:
    """Give a project ``total`` artifacts, through the batch endpoint."""
    host = f"127.0.0.1:{mq.settings.port}"
    items = [declaration(project, f"fill-{i}") for i in range(total)]
    raws = iter(
        load.request("POST", "/api/v1/artifacts/batch", host, _headers(mq), {"items": items[i : i + 500]})
        for i in range(0, total, 500)
    )
    load.run("127.0.0.1", mq.settings.port, lambda: next(raws), clients=2, total=-(-total // 500))
    while _open(database):
        time.sleep(0.02)


def dumps(value: Any) -> str:
    """Return readable JSON."""
    return json.dumps(value, indent=2, sort_keys=True)
