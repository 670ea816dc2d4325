"""An export over HTTP: whoever goes away in the middle is recorded as having got what he got."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

from api.compliance import Lines
from metaqore.audit.compliance_lines import Decided, line_of
from metaqore.messages import Submission


def decided(number: int) -> Decided:
    return Decided(
        organization="acme", seq=number, leaf_hash="00", ts_ms=0, decision=f"dec_{number}", request=None, approved=True,
        label="PUBLIC", policy="p", policy_digest=None, reasons=(), rules=(), agent="a", task_type="", requested="",
        provider=None,
    )  # fmt: skip


class Desk:
    """What stands behind the door: three decisions, one place, and a record."""

    def __init__(self) -> None:
        self.recorded: list[Submission] = []
        self.free = 0
        self.view = SimpleNamespace(decided=self.decided)

    def decided(self, organization: str, through: int) -> Iterator[Decided]:
        assert (organization, through) == ("acme", 7)
        yield from map(decided, (1, 2, 3))

    def give_back(self) -> None:
        self.free += 1

    def lines(self) -> Lines:
        here: Any = SimpleNamespace(
            views=SimpleNamespace(compliance=self.view), streams=self,
            engine=SimpleNamespace(executor=SimpleNamespace(run_now=self.recorded.append)),
        )  # fmt: skip
        return Lines(here, "acme", "ann", 7)


def test_what_was_read_whole_is_recorded_with_its_digest_once() -> None:
    desk = Desk()
    lines = desk.lines()
    body = b"".join(lines)
    lines.close()
    lines.close()
    assert body == b"".join(line_of(decided(n)) for n in (1, 2, 3))
    [asked] = desk.recorded
    assert asked.payload == {
        "events": 3, "digest": f"sha256:{hashlib.sha256(body).hexdigest()}", "complete": True
    }  # fmt: skip
    assert (asked.kind, asked.principal, desk.free) == ("compliance.export", "ann", 1)


def test_whoever_goes_away_is_recorded_with_what_he_got() -> None:
    desk = Desk()
    lines = desk.lines()
    first = next(lines)
    lines.close()
    [asked] = desk.recorded
    assert asked.payload == {
        "events": 1, "digest": f"sha256:{hashlib.sha256(first).hexdigest()}", "complete": False
    }  # fmt: skip
    assert desk.free == 1
