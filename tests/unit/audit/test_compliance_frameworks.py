"""Frameworks, the language of their evidence, and what follows from what a log holds."""

from __future__ import annotations

import csv
import gc
import io
import re
import tracemalloc
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metaqore.audit.anchors import Trust
from metaqore.audit.checkpoint import Signer, VerifierKey
from metaqore.audit.compliance_check import CheckedReport, run_check_report
from metaqore.audit.compliance_document import STATEMENT, Order, make_document
from metaqore.audit.compliance_evidence import MAX_WAITING, Evaluation, EvidenceFinding, EvidenceQuery, evidence_of
from metaqore.audit.compliance_file import load_frameworks
from metaqore.audit.compliance_forms import FORMS, in_form
from metaqore.audit.compliance_frameworks import STATES, Control, control_of, state_of
from metaqore.audit.compliance_query import Condition, Query, query_of
from metaqore.audit.database import open_database
from metaqore.errors import InvalidInput, SettingsError

CONFIG = Path(__file__).parents[3] / "config" / "compliance"
SOURCES = Path(__file__).parents[3]
DAY = 86_400_000
T0 = 1_760_000_000_000
EVIDENCE = """\
version: 1
evidence:
  keys:
    says: Keys are managed
    find: {tag: "security:key:*"}
  lost:
    says: Nothing is lost
    never: {tag: requests:request:dead}
"""
FRAMEWORK = """\
framework: mine
version: 1
title: Mine
edition: "1"
source: https://example.org
controls:
  Access:
    A.1: {title: Keys, needs: [keys, lost]}
"""


def entry(seq: int, tag: str, *, ts: int | None = None, **about: Any) -> dict[str, Any]:
    top = {name: about.pop(name, None) for name in ("project", "request")}
    actor = about.pop("actor", "ann")
    return {"seq": seq, "tag": tag, "ts": T0 + seq * 1000 if ts is None else ts, "actor": actor, **top,
            "about": about}  # fmt: skip


def evaluated(
    evidence: EvidenceQuery, entries: Iterable[Mapping[str, Any]], end: int = T0 + 900 * DAY
) -> EvidenceFinding:
    evaluation = Evaluation([evidence], T0, end)
    for one in entries:
        evaluation.add(one)
    return evaluation.results()[evidence.id]


def test_a_query_asks_for_tags_and_fields_and_comes_back_from_json_as_it_was() -> None:
    query = Query(
        ("security:key:*", "llm:call:settled"), ("security:key:revoked",),
        (Condition("details.days", "at_least", (183,)), Condition("outcome", "in", ("approved", "made")),
         Condition("policy", "present", (True,)), Condition("actor", "not", ("metaqore",))),
    )  # fmt: skip
    whole = entry(1, "security:key:created", outcome="made", policy="sha256:x", details={"days": 183})
    assert query.matches(whole)
    assert query_of(query.shown()) == query
    for change in (
        {"tag": "security:key:revoked"}, {"tag": "security:token:created"}, {"actor": "metaqore"},
        {"about": {**whole["about"], "details": {"days": 182}}},
        {"about": {**whole["about"], "details": {"days": "200"}}},
        {"about": {**whole["about"], "outcome": "refused"}}, {"about": {"outcome": "made", "details": {"days": 183}}},
    ):  # fmt: skip
        assert not query.matches({**whole, **change}), change


def test_what_must_be_found_is_found_often_enough_and_without_a_gap_or_not_at_all() -> None:
    find = EvidenceQuery("x", "x", "find", Query(("audit:report:made",)), at_least=2, gap_ms=31 * DAY)
    made = [entry(day + 1, "audit:report:made", ts=T0 + day * DAY) for day in (0, 20, 45)]
    other = entry(90, "requests:request:accepted", ts=T0 + 60 * DAY)
    assert evaluated(find, []).state == "none"
    few = evaluated(find, made[:1])
    assert (few.state, few.note) == ("none", "1 of 2 entries")
    good = evaluated(find, [*made, other])
    assert (good.state, good.count, good.cites) == ("found", 3, [1, 21, 46])
    late = evaluated(find, [*made, entry(99, "requests:request:accepted", ts=T0 + 80 * DAY)])
    assert (late.state, late.against, late.cites) == ("against", 1, [46])
    assert "35.0 days" in late.note
    holes = evaluated(find, [made[0], made[2], other])
    assert (holes.state, holes.cites) == ("against", [1, 46])


def test_entries_outside_of_the_period_are_no_evidence() -> None:
    find = EvidenceQuery("x", "x", "find", Query(("audit:report:made",)))
    entries = [entry(1, "audit:report:made", ts=T0 - 1), entry(2, "audit:report:made", ts=T0 + DAY)]
    assert evaluated(find, entries, end=T0 + DAY).state == "none"
    assert evaluated(find, entries, end=T0 + DAY + 1).cites == [2]


def test_many_matches_are_counted_and_a_few_cited() -> None:
    find = EvidenceQuery("x", "x", "find", Query(("*",)))
    found = evaluated(find, (entry(n, "security:key:created") for n in range(1, 1001)))
    assert (found.count, found.cites) == (1000, [1, 2, 3, 999, 1000])


def test_each_opening_is_answered_in_time_or_speaks_against_it() -> None:
    each = EvidenceQuery(
        "x", "x", "each", Query(("psmp:conflict:opened",)), Query(("psmp:conflict:resolved",)), "subject", within_ms=DAY
    )
    opened = entry(1, "psmp:conflict:opened", ts=T0, subject="c1")
    answered = entry(2, "psmp:conflict:resolved", ts=T0 + DAY, subject="c1")
    assert evaluated(each, []).state == "clear"
    assert evaluated(each, [opened]).state == "clear", "it may still be answered"
    assert evaluated(each, [opened]).waiting == 1
    assert (evaluated(each, [opened, answered]).state, evaluated(each, [opened, answered]).cites) == ("found", [1, 2])
    late = {**answered, "ts": T0 + DAY + 1}
    assert (evaluated(each, [opened, late]).state, evaluated(each, [opened, late]).cites) == ("against", [1])
    other = {**answered, "about": {"subject": "c2"}}
    done = entry(3, "security:key:created", ts=T0 + 2 * DAY)
    assert evaluated(each, [opened, other, done]).against == 1
    after = evaluated(each, [opened, answered], end=T0 + 1)
    assert after.state == "found", "an answer may come after the period"


def test_what_waits_is_bounded_and_what_could_not_be_followed_is_no_evidence(monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_WAITING <= 200_000
    monkeypatch.setattr("metaqore.audit.compliance_evidence.MAX_WAITING", 2)
    each = EvidenceQuery("x", "x", "each", Query(("psmp:conflict:opened",)), Query(("psmp:conflict:resolved",)),
                         "subject", within_ms=DAY)  # fmt: skip
    opened = [entry(n, "psmp:conflict:opened", ts=T0, subject=f"c{n}") for n in range(1, 5)]
    answered = [entry(n + 4, "psmp:conflict:resolved", ts=T0, subject=f"c{n}") for n in range(1, 5)]
    found = evaluated(each, [*opened, *answered])
    assert found.state == "none"
    assert "not all could be followed" in found.note


def test_no_evidence_is_never_met() -> None:
    queries = {name: EvidenceQuery(name, name, kind, Query(("*",)))
               for name, kind in (("a", "find"), ("b", "never"), ("c", "each"))}  # fmt: skip
    control = Control("C", "g", "t", needs=("a", "b", "c"))
    states = {
        ("found", "clear", "clear"): "met", ("found", "clear", "found"): "met",
        ("none", "clear", "found"): "not_assessed",
        ("clear", "clear", "clear"): "not_assessed", ("found", "against", "found"): "not_met",
        ("none", "clear", "against"): "not_met", ("none", "clear", "clear"): "not_assessed",
    }  # fmt: skip
    for found, wanted in states.items():
        findings = {name: EvidenceFinding(state, count=1) for name, state in zip("abc", found, strict=True)}
        assert state_of(control, queries, findings)[0] == wanted, found
    nothing = {name: EvidenceFinding("none") for name in "abc"}
    about = Control("C", "g", "t", needs=("a",), applies_when=("b",))
    assert state_of(about, queries, nothing)[0] == "not_applicable"
    assert state_of(Control("C", "g", "t", outside="ask"), queries, nothing)[0] == "not_assessed"
    assert state_of(Control("C", "g", "t", not_applicable="we do not"), queries, nothing)[0] == "not_applicable"


_ALL = load_frameworks(CONFIG)
_TAGS = sorted(
    {tag for one in _ALL.values() for query in one.evidence.values() for tag in query.query.tags if "*" not in tag}
    | {"security:key:created", "security:decision:approved", "privacy:hold:placed", "llm:call:settled"}
)
_ENTRIES = st.lists(
    st.tuples(
        st.sampled_from(_TAGS), st.integers(0, 20 * DAY), st.sampled_from([None, "sub_1", "sub_2"]),
        st.sampled_from([{}, {"label": "SENSITIVE"}, {"basis": "art17"}, {"provider": "p", "model": "m"}]),
        st.sampled_from([{}, {"policy": "sha256:1", "commitment": "hmac"}]),
    ),
    max_size=12,
)  # fmt: skip


@given(_ENTRIES, st.integers(0, 20))
@settings(max_examples=40)
def test_whatever_a_log_holds_what_is_met_cites_entries_that_were_asked_for(
    drawn: list[tuple[str, int, str | None, dict[str, Any], dict[str, Any]]], until: int
) -> None:
    end = T0 + until * DAY
    log = [
        entry(n, tag, ts=T0 + at, subject=subject, details=details, request=f"req_{n}", project="p", **more)
        for n, (tag, at, subject, details, more) in enumerate(sorted(drawn, key=lambda one: one[1]), 1)
    ]
    for framework in _ALL.values():
        evaluation = Evaluation(framework.evidence.values(), T0, end)
        for one in log:
            evaluation.add(one)
        findings = evaluation.results()
        for control in framework.controls:
            if state_of(control, framework.evidence, findings)[0] != "met":
                continue
            found = [name for name in control.needs if findings[name].state == "found"]
            assert found, control.id
            for name in found:
                asked, cites = framework.evidence[name], findings[name].cites
                assert cites, (control.id, name)
                for seq in cites:
                    cited = log[seq - 1]
                    fits = asked.query.matches(cited) and T0 <= cited["ts"] < end
                    answers = asked.then is not None and asked.then.matches(cited)
                    assert fits or answers or asked.kind == "span", (control.id, name, cited)


def loaded(folder: Path, evidence: str = EVIDENCE, framework: str = FRAMEWORK) -> Any:
    (folder / "evidence.yaml").write_text(evidence)
    (folder / "mine.yaml").write_text(framework)
    return load_frameworks(folder)["mine"]


def test_a_framework_is_read_with_its_evidence(tmp_path: Path) -> None:
    framework = loaded(tmp_path)
    assert [control.id for control in framework.controls] == ["A.1"]
    assert set(framework.evidence) == {"keys", "lost"}
    for name, one in framework.evidence.items():
        assert evidence_of(name, one.shown()) == one
    assert control_of(framework.controls[0].shown()) == framework.controls[0]
    other = loaded(tmp_path, framework=FRAMEWORK.replace("Keys,", "Other keys,"))
    assert other.digest != framework.digest


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("evidence", "security:key:*", "security:kez:*", "evidence.yaml:5: evidence.keys.find.tag: no tag begins with"),
        ("evidence", "requests:request:dead", "requests:request:deed", "8: evidence.lost.never.tag: "
         "'requests:request:deed' is no tag of the audit log, did you mean 'requests:request:dead'?"),
        ("evidence", "find: {tag", "find: {outcom: x, tag", "5: evidence.keys.find.outcom: 'outcom' is no field"),
        ("evidence", "find: {", "find: {details.n: {at_least: many}, ", "details.n.at_least: a whole number"),
        ("evidence", "find: {", "find: {details.n: {above: 3}, ", "'above'|above: is unknown here"),
        ("evidence", "find: {", "find: {details.n: 1.5, ", "1.5: use a text"),
        ("evidence", "    find:", "    finds:", "evidence.keys: exactly one of find, never"),
        ("evidence", "    says: Keys", "    at_least: 0\n    says: Keys", "at_least: 0: a whole number from 1"),
        ("evidence", "    says: Keys", "    no_gap_over: 5w\n    says: Keys", "no_gap_over: '5w': a number"),
        ("evidence", "    says: Keys are managed\n", "", "'says' is missing"),
        ("evidence", "version: 1", "version: 2", "1: version: use 1"),
        ("mine", "keys, lost", "kys, lost", "mine.yaml:8: controls.Access.A.1.needs.*did you mean 'keys'"),
        ("mine", "[keys, lost]", "[lost]", "the absence of entries is no evidence"),
        ("mine", "needs: [keys, lost]", "outside: ask, needs: [keys]", "exactly one of needs, outside, not_applicable"),
        ("mine", "title: Keys, ", "", "'title' is missing"),
        ("mine", "title: Mine", "titel: Mine", "3: titel: is unknown here, did you mean 'title'"),
        ("mine", "    A.1:", "    A.1: {title: x, outside: y}\n    A.1:", "controls.Access.A.1: is given twice"),
        ("mine", "controls:", "controls: [", "is not valid YAML"),
    ],
)  # fmt: skip
def test_a_mistake_is_refused_with_file_line_and_key(tmp_path: Path, file: str, old: str, new: str, said: str) -> None:
    texts = {"evidence": EVIDENCE, "mine": FRAMEWORK}
    assert old in texts[file]
    texts[file] = texts[file].replace(old, new, 1)
    with pytest.raises(SettingsError) as raised:
        loaded(tmp_path, texts["evidence"], texts["mine"])
    assert re.search(said, raised.value.message), raised.value.message


def test_shipped_frameworks_ask_for_what_the_engine_records() -> None:
    frameworks = load_frameworks(CONFIG)
    assert set(frameworks) == {"soc2", "gdpr", "hipaa", "eu_ai_act", "iso_42001", "nist_ai_rmf"}
    source = "\n".join(
        path.read_text() for room in ("metaqore", "api", "workers") for path in (SOURCES / room).rglob("*.py")
    )
    for framework in frameworks.values():
        for one in framework.evidence.values():
            for query in filter(None, (one.query, one.then)):
                for condition in query.where:
                    name = condition.field.removeprefix("details.")
                    assert name == condition.field or f'"{name}"' in source or f"{name}=" in source, condition
    acts = {control.id for control in frameworks["eu_ai_act"].controls}
    assert {"Art. 12(1)", "Art. 19(1)", "Art. 26(6)"} <= acts


class Reader:
    """The log of the fixture, as a report reads it."""

    def __init__(self, log: Any, erased: set[str] = frozenset()) -> None:  # type: ignore[assignment]
        self.log, self.gone = log, erased
        self.source = open_database(str(log.path))

    def newest(self, organization: str) -> str:
        return str(self.log.note)

    def bodies(self, organization: str, last: int) -> Iterable[list[bytes]]:
        for chunk in self.source.chunks(organization, 1, last):
            yield list(chunk[2])

    def cited(self, organization: str, numbers: list[int]) -> dict[int, bytes]:
        return {seq: self.source.row(organization, seq).body for seq in numbers}  # type: ignore[union-attr]

    def tile(self, organization: str, level: int, index: int) -> bytes:
        return self.source.tile(organization, level, index)

    def erased(self, organization: str, requests: list[str]) -> set[str]:
        return self.gone & set(requests)


@pytest.fixture
def document(log: Any) -> dict[str, Any]:
    log.fill(300, every=100)
    framework = load_frameworks(CONFIG)["soc2"]
    order = Order("rpt_1", "acme", framework, T0, T0 + DAY, "<b>ann</b>", "req_1", T0 + DAY)
    return make_document(Reader(log), order)  # type: ignore[arg-type]


class Page(HTMLParser):
    """Collects what a page would load, links to, and names."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.names: set[str] = set()
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.add(tag)
        self.loads += [str(given[name]) for name in ("src", "srcset", "data", "poster") if name in given]
        if "href" in given:
            self.links.append(str(given["href"]))
        if "id" in given:
            self.names.add(str(given["id"]))


def test_the_html_form_needs_nothing_else_and_its_links_lead_somewhere(document: dict[str, Any]) -> None:
    text = in_form(msgspec.json.encode(document).decode(), "html")
    page = Page()
    page.feed(text)
    assert page.loads == []
    assert not page.tags & {"script", "link", "iframe", "object", "embed", "img"}
    assert "url(" not in text
    assert "@import" not in text
    assert page.links
    assert {link.removeprefix("#") for link in page.links} <= page.names
    assert "<b>ann</b>" not in text
    assert "&lt;b&gt;ann" in text
    charts = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    assert len(charts) == 4
    for chart in charts:
        ET.fromstring(chart)
    for control in document["controls"]:
        assert control["id"] in text


def test_the_csv_form_is_read_back_by_any_reader(document: dict[str, Any]) -> None:
    text = in_form(msgspec.json.encode(document).decode(), "csv")
    assert text.count("\r\n") == len(document["controls"]) + 1
    rows = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
    for row, control in zip(rows, document["controls"], strict=True):
        assert (row["control"], row["state"], row["why"]) == (control["id"], control["state"], control["why"])
        payload = msgspec.json.decode(row["payload"])
        assert set(payload["leaf_hashes"]) == set(row["cites"].split())
        assert {f: payload["evidence"][f]["count"] for f in control.get("needs", ())} == {
            f: document["evidence"][f]["finding"]["count"] for f in control.get("needs", ())
        }


HOSTILE = "=cmd|'/C calc'!A0 <img src=x onerror=alert(1)> [x](http://evil) &lt;b&gt; www.evil.com\u202etxt\n# forged"


@pytest.fixture
def hostile(document: dict[str, Any]) -> dict[str, Any]:
    """The document as it is where somebody was named to do harm wherever it is shown."""
    cited = msgspec.json.decode(document["citations"][0]["entry"])
    entry = msgspec.json.encode({**cited, "actor": HOSTILE}).decode()
    first = {**document["citations"][0], "entry": entry}
    return {**document, "organization": HOSTILE, "made": {**document["made"], "by": HOSTILE},
            "citations": [first, *document["citations"][1:]]}  # fmt: skip


def test_no_name_becomes_a_formula_of_a_spreadsheet(hostile: dict[str, Any]) -> None:
    text = in_form(msgspec.json.encode(hostile).decode(), "csv")
    rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    cells = {cell for row in rows for cell in row}
    assert f"'{HOSTILE}" in cells
    assert not [cell for cell in cells if cell[:1] in ("=", "+", "-", "@", "\t", "\r", "\n")]


def test_no_name_becomes_markup_of_a_markdown_page(hostile: dict[str, Any]) -> None:
    text = in_form(msgspec.json.encode(hostile).decode(), "markdown")
    named = [line for line in text.splitlines() if "cmd" in line]
    assert len(named) == 3
    for line in named:
        for live in ("<img", "](http", " &lt;", "http://", "www.evil", "\u202e", "\n# forged"):
            assert not re.search(rf"(?<!\\){re.escape(live)}", line), (live, line)


def test_no_name_becomes_markup_of_the_html_page_or_turns_its_writing(hostile: dict[str, Any]) -> None:
    page, text = Page(), in_form(msgspec.json.encode(hostile).decode(), "html")
    page.feed(text)
    assert not page.tags & {"script", "link", "iframe", "object", "embed", "img"}
    assert page.loads == []
    assert all(link.startswith("#") for link in page.links)
    assert "\u202e" not in re.sub(r"<pre>.*?</pre>", "", text, flags=re.DOTALL), "but in the bytes that are proven"


def test_every_cell_says_of_itself_what_it_is_where_there_is_no_room_for_a_head(document: dict[str, Any]) -> None:
    text = in_form(msgspec.json.encode(document).decode(), "html")
    rows = re.findall(r"<tr id=.*?</tr>", text, re.DOTALL)
    assert len(rows) == len(document["controls"]) + len(document["evidence"])
    for row in rows:
        assert row.count("<td") == 4
        assert row.count("data-of=") == 3


def test_what_is_said_to_be_found_is_no_more_than_the_log_holds(document: dict[str, Any]) -> None:
    met = [control for control in document["controls"] if control["state"] == "met"]
    assert met
    for control in met:
        said = [int(count.replace(",", "")) for count in re.findall(r"\(([\d,]+) entr(?:y|ies)\)", control["why"])]
        found = [document["evidence"][name]["finding"] for name in control["needs"]]
        assert said == [one["count"] for one in found if one["state"] == "found"]
        assert max(said) <= document["log"]["entries"]


def test_the_markdown_form_has_whole_tables(document: dict[str, Any]) -> None:
    lines = in_form(msgspec.json.encode(document).decode(), "markdown").splitlines()
    assert any("\\<b\\>ann" in line for line in lines)
    columns = 0
    for line in lines:
        if not line.startswith("|"):
            columns = 0
            continue
        count = len(re.findall(r"(?<!\\)\|", line))
        assert columns in (0, count), line
        columns = count


def test_no_report_says_that_anybody_is_compliant(document: dict[str, Any]) -> None:
    text = msgspec.json.encode(document).decode()
    words = re.compile(r"\b(?:non-?)?(?:compliant|complies|complied|certified|conformant)\b", re.IGNORECASE)
    shown = [in_form(text, form) for form in FORMS]
    for one in (*shown, *(path.read_text() for path in CONFIG.glob("*.yaml"))):
        assert not words.search(one), words.findall(one)
    for form, one in zip(FORMS, shown, strict=True):
        assert "supports evidence for" in one or form == "csv"
    assert "supports evidence for" in STATEMENT


def test_a_cited_payload_that_was_erased_says_so(log: Any) -> None:
    log.fill(300, every=100)
    framework = load_frameworks(CONFIG)["soc2"]
    order = Order("rpt_1", "acme", framework, T0, T0 + DAY, "ann", "req_1", T0 + DAY)
    document = make_document(Reader(log, {f"req_{n}" for n in range(301)}), order)  # type: ignore[arg-type]
    states = {cited["payload"] for cited in document["citations"]}
    assert states <= {"erased", None}
    assert "payload erased" in in_form(msgspec.json.encode(document).decode(), "html")


def test_a_long_log_is_counted_in_memory_that_does_not_grow_with_it() -> None:
    evidence = [one for framework in load_frameworks(CONFIG).values() for one in framework.evidence.values()]
    evaluation = Evaluation({one.id: one for one in evidence}.values(), T0, T0 + 900 * DAY)

    def kept(numbers: range) -> int:
        """Return what is held after so many hours more; a peak depends on when garbage is collected.

        Counted is what the log and this test hold: threads of earlier tests go on.
        """
        tracemalloc.start()
        for n in numbers:
            # An hour each: what is opened is answered by the next, or overdue a day later.
            opened = entry(2 * n - 1, "requests:request:accepted", ts=T0 + n * 3_600_000, request=f"req_{n}")
            evaluation.add(opened)
            if n % 2:
                answer = entry(2 * n, "psmp:artifact:admitted", ts=T0 + n * 3_600_000, request=f"req_{n}")
                evaluation.add(answer)
        gc.collect()
        ours = [tracemalloc.Filter(True, f"*/{folder}/*") for folder in ("metaqore/audit", "unit/audit")]
        found = tracemalloc.take_snapshot().filter_traces(ours)
        tracemalloc.stop()
        return sum(trace.size for trace in found.traces)

    first, later = kept(range(1, 500)), kept(range(500, 2_500))
    assert later < first + 50_000
    assert evaluation.results()["requests_decided"].against > 1_200


def test_a_report_without_any_citation_is_checked_by_its_signature(document: dict[str, Any]) -> None:
    bare = {**document, "citations": [], "controls": [], "evidence": {}, "summary": dict.fromkeys(STATES, 0)}
    key = VerifierKey.parse(str(Signer.from_seed("log.example/audit", b"\x11" * 32).vkey))
    assert CheckedReport(msgspec.json.encode(bare).decode()).check(Trust((key,))).size == 300
    other = Signer.from_seed("log.example/audit", b"\x12" * 32).vkey
    with pytest.raises(InvalidInput):
        CheckedReport(msgspec.json.encode(bare).decode()).check(Trust((other,)))
    said: list[str] = []
    text = msgspec.json.encode(document).decode()
    assert run_check_report(text, Trust((key,)), None, said.append) == 0
    assert run_check_report(text, Trust((other,)), None, said.append) == 1
    assert run_check_report(text, Trust(), None, said.append) == 2, "no signature was checked"
    assert run_check_report("{}", Trust((key,)), None, said.append) == 1
