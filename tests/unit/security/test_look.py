from __future__ import annotations

import base64
import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest

from metaqore.canonical import canonical_json
from metaqore.security import assess
from metaqore.security.look import SHORT, Looked, look, suspects
from metaqore.security.model import Label
from tests.unit.security.test_detect import PERSONAL, SECRETS

DATA = Path(os.environ.get("METAQORE_TEST_DATA") or Path(__file__).resolve().parents[4] / "shared" / "data")
TOKEN = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
BENIGN: tuple[Any, ...] = (
    "Parse the configuration file, then check every field of it.",
    "def parse(path):\n    with open(path) as file:\n        return [line.split('=') for line in file if line]\n",
    {"steps": ["read the file", "check every field"], "owner": "team-a", "priority": 3, "ratio": 0.25},
    "Version 2.14.3 of the parser reads 1200 lines in 40 ms; see issue 77.",
    [1, 2.5, None, True, "a", {"b": []}],
)


def asked(content: Any, declared: str | None = None) -> Looked | None:
    return look(content, canonical_json(content).decode(), declared)


@pytest.mark.parametrize("content", BENIGN, ids=range(len(BENIGN)))
def test_what_holds_nothing_is_not_read(content: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("metaqore.security.look.read", pytest.fail)

    assert asked(content) is None


SENSITIVE = (
    *(f"Please use this one for now: {text}" for _, text in SECRETS),
    *(text for _, text in PERSONAL),
    "Maria Keller was diagnosed with multiple sclerosis last spring.",
    "My wife was told last week that she has breast cancer.",
)


@pytest.mark.parametrize("text", SENSITIVE, ids=range(len(SENSITIVE)))
def test_whatever_a_rule_finds_is_found_in_text_and_in_json(text: str) -> None:
    for content in (text, f"# Notes\n\n{text}\n", {"notes": [{"line": text}]}, [f'He said:\n"{text}"\n']):
        found = assess(content).content
        raised = asked(content)
        if found >= Label.SENSITIVE:
            assert raised is not None, content
            assert raised.label == found.name
    assert asked(text) is not None


def test_every_sensitive_text_of_the_data_is_suspected() -> None:
    path = DATA / "sensitivity.jsonl.gz"
    if not path.exists():
        pytest.skip("the test data is not here: set METAQORE_TEST_DATA to its folder")
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    held = [row for row in rows if row["label"] in ("SENSITIVE", "CRITICAL")]
    quiet = [row for row in rows if row not in held and not row["hard_negative"]]

    assert len(held) > 1000
    assert [row["text"] for row in held if not suspects(row["text"])] == []
    assert [row["text"] for row in held if not suspects(json.dumps({"a": row["text"]}))] == []
    # Were everything suspected, it would be no help.
    assert sum(suspects(row["text"]) for row in quiet) < len(quiet) / 5


def test_a_member_that_is_named_for_a_secret_holds_one() -> None:
    raised = asked({"db": {"password": "hunter2x!"}})

    assert raised is not None
    assert raised.label == "CRITICAL"


@pytest.mark.parametrize("text", [
    "Z2hwX2ExQjJjM0Q0ZTVGNmc3SDhpOUowazFMMm0zTjRvNVA2cTdSOA==",
    "\uff47\uff48\uff50_" + TOKEN[4:],
    "gh\u200bp_" + TOKEN[4:],
], ids=["base64", "full width", "zero width"])  # fmt: skip
def test_a_disguised_secret_is_suspected(text: str) -> None:
    assert asked(f"The deploy key is {text}") is not None


@pytest.mark.parametrize("text", ["x" * 380, "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"])
def test_what_only_looks_like_base64_is_not_suspected(text: str) -> None:
    assert not suspects(text)
    assert suspects(f"{text} Z2hwX2ExQjJjM0Q0ZTVGNmc3SDhpOUowazFMMm0zTjRvNVA2cTdSOA==")


@pytest.mark.parametrize(
    "text",
    [
        "Released on 2026-11-22.", "2026-11-22T13:04:05.123456Z worker: started", "from 2026-11-22 13:04 until the end",
        "- *2026-11-22.* **Pure decisions commit claim and verdict together**", '{"at":"2026-11-22T13:04:05+01:00"}',
    ],
)  # fmt: skip
def test_a_date_is_not_suspected(text: str) -> None:
    assert not suspects(text)


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-22 4111 1111 1111 1111",
        "4111 1111 1111 1111 2026-11-22",
        "1990-11-22-1234",
        "555-2026-11-22",
        "call 2026-11-22 33",
        "0 (2026-11-22",
        "12026-11-22",
        "2026-11-22.7",
    ],
)
def test_a_number_near_a_date_is_suspected(text: str) -> None:
    assert suspects(text)


def test_a_long_content_is_read_at_once() -> None:
    filler = "Nothing to see here. " * (SHORT // 20 + 1)

    assert asked(filler) is None
    raised = asked(filler + TOKEN)
    assert raised is not None
    assert raised.types == ["github_token"]


def test_a_look_raises_and_never_speaks_of_what_is_low() -> None:
    internal = "Minutes of the steering committee: the roadmap for Q3 moves the billing service to the new cluster."

    assert asked(internal) is None
    found = asked(internal, "PUBLIC")
    assert found is not None
    assert (found.label, found.types) == ("INTERNAL", ["internal_material"])
    assert asked("Paris is the capital of France, and lies on the Seine.", "PUBLIC") is None
    assert asked("text", "PUBLIC") is None


def test_no_finding_holds_what_was_found() -> None:
    raised = asked({"key": TOKEN})

    assert raised is not None
    assert TOKEN not in str(raised)


def test_what_stood_there_before_is_nothing_more() -> None:
    text = "Write to maria.keller@posteo.net, card 4111 1111 1111 1111."
    looked = look(text, json.dumps(text), None)
    assert looked is not None

    assert looked.beyond({"note": text}) is None
    more = looked.beyond("Card 4111-1111-1111-1111, please.")
    assert more is not None
    assert (more.label, more.types) == ("SENSITIVE", ["email"])
    assert "posteo" not in repr(looked)


def test_many_findings_in_one_long_text_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[str] = []
    monkeypatch.setattr(
        "metaqore.security.look.value_of", lambda content, _: taken.append(type(content).__name__) or ""
    )
    keys = json.dumps([{"password": f"hunter{number}!Q"} for number in range(40)])
    wrapped = base64.b64encode(" ".join(f"p{number}@mail{number}.org" for number in range(40)).encode()).decode()

    raised = look(keys, json.dumps(keys), None)
    assert raised is not None
    # Parsed before, not once for each of them.
    assert (len(raised.findings) >= 40, set(taken)) == (True, {"list"})
    taken.clear()
    raised = look(wrapped, json.dumps(wrapped), None)
    assert raised is not None
    assert (len(raised.findings), len(raised.values), len(taken)) == (40, 40, 1)
