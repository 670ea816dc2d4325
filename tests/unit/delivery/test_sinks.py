"""Audit entries as CloudEvents, and the file they are appended to: whole lines, each once, whatever a crash tore."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from metaqore.adapters.line_file import RotatedFile
from metaqore.audit.entry import make_entry
from metaqore.delivery.cloudevents import Recorded, body_of, event
from metaqore.delivery.sinks import MAX_BATCH, backoff_ms, batch_of
from metaqore.errors import Unavailable


def recorded(seq: int = 7) -> Recorded:
    made = make_entry(organization="acme", seq=seq, tag="psmp:artifact:admitted", actor="ann", ts_ms=1_800_000_000_123,
                      subject="art_1", details={"version": 2})  # fmt: skip
    return Recorded(made.seq, made.tag, 1_800_000_000_123, made.body, made.leaf_hash)


def test_an_entry_becomes_a_cloudevent_that_holds_its_bytes() -> None:
    entry = recorded()

    raw = event(entry, "metaqore/acme")

    made = json.loads(raw)
    assert entry.body in raw, "the canonical bytes, as they were hashed"
    assert {name: made[name] for name in ("specversion", "id", "source", "type", "subject", "time")} == {
        "specversion": "1.0", "id": "7", "source": "metaqore/acme", "type": "metaqore.audit.psmp.artifact.admitted",
        "subject": "art_1", "time": "2027-01-15T08:00:00.123Z",
    }  # fmt: skip
    assert made["sequence"] == "0" * 19 + "7" and made["leafhash"] == entry.leaf_hash.hex()
    assert made["data"]["about"]["details"] == {"version": 2}
    # CloudEvents 1.0.2 §3.1: names of attributes are lower-case letters and digits.
    assert all(name.isalnum() and name.islower() for name in made if name != "data_base64")


@pytest.mark.parametrize("body", [b"\xff\x00", b"[1]", b'{"about":null}', b"{"])
def test_bytes_that_are_no_entry_go_out_as_they_are(body: bytes) -> None:
    made = json.loads(event(recorded()._replace(body=body), "s"))
    assert base64.b64decode(made["data_base64"]) == body and "data" not in made


def test_a_batch_is_a_json_array_and_structured_mode_takes_one() -> None:
    events = [event(recorded(seq), "s") for seq in (1, 2)]
    assert [made["id"] for made in json.loads(body_of(events, "batch"))] == ["1", "2"]
    assert json.loads(body_of(events[:1], "structured"))["id"] == "1"


def test_who_fails_is_asked_less_often_and_for_less_at_once() -> None:
    waits = [backoff_ms(failures, 0.0) for failures in (1, 2, 3, 20)]
    assert waits == [1000, 2000, 4000, 300_000]
    assert backoff_ms(1, 0.0, asked_s=30.0) == 30_000
    assert backoff_ms(1, 0.0, asked_s=1e9) == 300_000
    assert [batch_of(failures) for failures in (0, 1, 8, 50)] == [MAX_BATCH, 128, 1, 1]


def lines(*numbers: int) -> list[tuple[int, bytes]]:
    return [(number, json.dumps({"id": str(number)}).encode()) for number in numbers]


def ids(path: Path) -> list[int]:
    return [int(json.loads(line)["id"]) for line in path.read_bytes().splitlines()]


def test_a_file_has_each_line_once_though_a_batch_comes_again(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "audit.jsonl"
    file = RotatedFile()
    file.append(str(path), lines(1, 2, 3))
    file.append(str(path), lines(2, 3, 4))
    assert ids(path) == [1, 2, 3, 4]
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("torn", [b"{", b'{"id": "4"', b'{"id": "4"}'])
def test_a_line_that_a_crash_has_torn_is_written_anew(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / "audit.jsonl"
    file = RotatedFile()
    file.append(str(path), lines(1, 2, 3))
    with path.open("ab") as grown:
        grown.write(torn)
    file.append(str(path), lines(4, 5))
    assert ids(path) == [1, 2, 3, 4, 5]


def test_a_full_file_is_put_aside_and_nothing_is_lost_or_doubled_over_the_edge(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    file = RotatedFile(max_bytes=40)
    for first in range(1, 20, 2):
        file.append(str(path), lines(first, first + 1))
        # The commit that follows was lost: it all comes again.
        file.append(str(path), lines(first, first + 1))
    rotated = sorted(tmp_path.glob("audit.jsonl.*"))
    assert len(rotated) >= 4
    found = [number for name in rotated for number in ids(name)] + (ids(path) if path.exists() else [])
    assert found == list(range(1, 21))
    assert rotated[0].name == f"audit.jsonl.{ids(rotated[0])[-1]:020}"


def test_a_file_that_cannot_be_written_is_said_and_tried_again_later(tmp_path: Path) -> None:
    (tmp_path / "blocked").write_text("a file in the place of a folder")
    with pytest.raises(Unavailable, match="cannot be written"):
        RotatedFile().append(str(tmp_path / "blocked" / "audit.jsonl"), lines(1))
