"""The page about a run: whole, and loading nothing from anywhere."""

from __future__ import annotations

import json
import re
from collections import Counter
from html.parser import HTMLParser
from types import SimpleNamespace
from typing import Any

import pytest

from metaqore.cli.demo.drive import Material
from metaqore.cli.demo.edits import Edits
from metaqore.cli.demo.history import Change, History
from metaqore.cli.demo.learning import Lesson
from metaqore.cli.demo.page import page
from metaqore.cli.demo.receiver import Received
from metaqore.cli.demo.record import Record, Submission, percentile

EVIL = "</title></style><script src=https://evil.example/x.js></script><img src='https://evil.example/i'>\"'&"


class Elements(HTMLParser):
    """Counts the elements and keeps every attribute that could load something."""

    def __init__(self) -> None:
        super().__init__()
        self.names: Counter[str] = Counter()
        self.open: list[str] = []
        self.loads: list[tuple[str, str]] = []
        self.handlers: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names[tag] += 1
        if tag not in ("meta", "br", "line", "rect"):
            self.open.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "srcset", "action", "data", "poster", "xlink:href", "background"):
                self.loads.append((name, value or ""))
            if name.startswith("on"):
                self.handlers.append(name)

    def handle_endtag(self, tag: str) -> None:
        if tag in self.open:
            while self.open.pop() != tag:
                pass


def a_run() -> tuple[Record, Any]:
    """A run in which every text that comes from outside is hostile."""
    record = Record()
    for nth in range(40):
        record.submitted(Submission("artifact.declare", EVIL, EVIL, "accepted", nth / 10, 0.01 * (nth + 1)))
        record.submitted(Submission("llm.generate", "ada", "calls", "vetoed", nth / 10, 0.2, 1 + nth % 16))
    with record.act(EVIL):
        pass
    record.check(EVIL, True, EVIL)
    report = {
        "conflicts": [{"id": "conf_1", "class": "parallel_creation", "severity": "high", "message": EVIL}],
        "remedies": [{"kind": EVIL, "what": EVIL}],
    }
    steps = [{"strategy": "merge", "what": EVIL, "status": 409}, {"strategy": "retry", "what": EVIL, "status": 200}]
    piece = Edits(EVIL, EVIL, "a\nb\n", (f"{EVIL}\nb\n", f"a\n{EVIL}\n"), f"{EVIL}\n{EVIL}\n")
    record.facts |= {
        "stories": [{"agent": EVIL, "artifact": EVIL, "report": report, "steps": steps}],
        "merge": {"piece": piece, "versions": [(1, EVIL)]},
        "dependencies": {"distributions": 3, "constraints": 5, "missing": 2},
        "veto": {"reasons": [EVIL], "label": EVIL, "connections": 0},
        "audit": {"entries": 7, "sealed": 0, "findings": [], "forgery": [EVIL]},
    }
    measures = {
        "accuracy": 0.9,
        "majority_accuracy": 0.4,
        "examples": 30,
        "coverage": 0.8,
        "digest": EVIL,
        "threshold": None,
    }
    lesson = Lesson(
        EVIL, 300, [EVIL], {"state": "active"},
        {"functional": {"passed": True, "measures": measures, "limits": {"alpha": 0.05}}}, (48, 46, 40, 39),
    )  # fmt: skip
    history = History(EVIL, 1, [Change(EVIL, EVIL, 1, 1)])
    body = json.dumps({"type": "artifact.blocked", "data": EVIL}).encode()
    webhook = Received({"webhook-id": EVIL, "webhook-signature": EVIL, "content-type": "x"}, body)
    drive = SimpleNamespace(material=Material(history, history, [EVIL]), lessons=[lesson], webhooks=[webhook])
    return record, drive


@pytest.fixture(scope="module")
def html() -> str:
    return page(*a_run())


def test_nothing_is_loaded_and_nothing_is_run(html: str) -> None:
    elements = Elements()
    elements.feed(html)

    assert elements.loads == []
    assert elements.handlers == []
    assert not {"script", "img", "link", "iframe", "object", "embed", "form"} & elements.names.keys()
    style = html[html.index("<style>") : html.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style


def test_the_page_forbids_loading_whatever_it_might_hold(html: str) -> None:
    found = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', html)

    assert found is not None
    assert found[1].split("; ") == ["default-src 'none'", "style-src 'unsafe-inline'"]


def test_every_element_is_closed_and_every_chart_is_there(html: str) -> None:
    elements = Elements()
    elements.feed(html)

    assert elements.open == []
    assert elements.names["svg"] == 6, "timeline, verdicts, two histograms, batches, accuracies"


def test_what_was_sent_is_shown_as_it_was(html: str) -> None:
    shown: list[str] = []
    reader = HTMLParser()
    reader.handle_data = shown.append  # type: ignore[method-assign]
    reader.feed(html)

    assert " ".join(shown).count(EVIL) > 10


def test_a_failed_check_is_seen_at_the_top() -> None:
    record, drive = a_run()
    record.check("something", False, "else")

    assert '<p class="verdict off">1 of 2 checks failed</p>' in page(record, drive)


def test_a_run_that_came_nowhere_still_has_a_page() -> None:
    drive: Any = SimpleNamespace(material=None, lessons=[], webhooks=[])

    assert "0 checks" in page(Record(), drive)


def test_percentiles_are_values_that_were_seen() -> None:
    values = [float(number) for number in range(1, 101)]

    assert [percentile(values, share) for share in (0.5, 0.99, 1.0)] == [50.0, 99.0, 100.0]
    assert percentile([7.0], 0.99) == 7.0
    assert percentile([], 0.5) == 0.0
