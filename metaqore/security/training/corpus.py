"""Read the training data and keep together what must not be split.

Three JSON Lines files, given by path: ``attacks.jsonl.gz`` (attack or benign, with family, cluster, pair …),
``sensitivity.jsonl.gz`` (four labels) and ``merges.jsonl.gz`` (documents of open repositories); and the sentences
beside this module, written for it: ``attacks.txt``, ``benign.txt``, ``internal.txt``, ``public.txt``, what the
grammars say (``grammar``), and pieces of installed software (``software``).
"""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from metaqore.security.assess_payload import read
from metaqore.security.normalise import fold
from metaqore.security.normalise_views import views
from metaqore.security.threats import token_readings
from metaqore.security.training import grammar, software

OWN = "own"
DOCUMENT = "repository_document"
SOFTWARE = "software"
TOLD = "told by organizations"
#: Sentences that are tried of each template of a grammar.
_SAID = {"attacks": 32, "innocent": 40, "business": 25}
#: How often pieces of each package are drawn.
_DRAWS = 4
_SEED = 20261122
_DOCUMENTS = re.compile(r"\.(?:rst|md|txt)$|(?:^|/)(?:CHANGES|README|HISTORY)$")


@dataclass(frozen=True, slots=True)
class Text:
    """One training text."""

    #: Tokens of every reading of it: as written, and undisguised.
    readings: tuple[tuple[str, ...], ...]
    positive: bool
    #: Texts of one group are never on both sides of a split.
    group: str
    family: str
    transformed: bool
    #: Somebody else wrote most of it: the attack is a part, the rest is innocent.
    planted: bool
    #: As it came, for the rules.
    original: str
    position: str = "user"
    weight: float = 1.0


def rows(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a gzip'd JSON Lines file."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def sentences(name: str) -> list[str]:
    """Return the lines of a sentence file of this package."""
    return (files("metaqore.security.training") / f"{name}.txt").read_text("utf-8").splitlines()


def readings(original: str) -> tuple[tuple[str, ...], ...]:
    """Return the tokens of each reading of a text."""
    return tuple(tuple(tokens) for tokens in token_readings(original) if tokens) or (("<n>",),)


def attacks(data: Path) -> list[Text]:
    """Return attack and benign texts: the file's rows, then our own sentences."""
    source = rows(data / "attacks.jsonl.gz")
    found = [
        Text(
            readings(row["text"]),
            row["label"] == "attack",
            group,
            row["family"],
            row["transform"] is not None,
            row["label"] == "attack" and row["position"] != "user",
            row["text"],
            row["position"],
        )
        for row, group in zip(source, _groups(source), strict=True)
    ]
    found += documents(data)
    for name, positive in (("attacks", True), ("benign", False)):
        found += [_own(line, positive, f"{name}{i}") for i, line in enumerate(sentences(name))]
    return [*found, *_said(), *_told(data), *_installed()]


def _told(data: Path) -> Iterator[Text]:
    """Yield what organizations say, in public and among themselves: no attacks."""
    for text in business(data):
        if text.family != DOCUMENT:
            yield replace(text, positive=False, group=f"told {text.group}", family=TOLD)


def _said() -> Iterator[Text]:
    """Yield the sentences of the grammars; those of one template are a group."""
    for name in ("attacks", "innocent"):
        for family, sentence, number in grammar.said(f"{name}_grammar", _SAID[name], _SEED):
            group, positive = f"{name} grammar {number}", name == "attacks"
            yield Text(
                readings(sentence), positive, group, f"said: {family}", False, False, sentence,
                weight=1.0 if positive else 2.0,
            )  # fmt: skip


def _installed() -> Iterator[Text]:
    """Yield pieces of the packages that are trained on; those of one package are a group."""
    drawn = (piece for turn in range(_DRAWS) for piece in software.pieces(unseen=False, seed=_SEED + turn))
    for piece in dict.fromkeys(drawn):
        group = f"package {piece.package}"
        yield Text(readings(piece.text), False, group, SOFTWARE, False, False, piece.text, "artifact")


def business(data: Path) -> list[Text]:
    """Return internal (positive) and public texts: the file's rows of these labels, then our own sentences."""
    source = [row for row in rows(data / "sensitivity.jsonl.gz") if row["label"] in ("INTERNAL", "PUBLIC")]
    bodies: list[str] = [prose(row["text"]) for row in source]
    # Rows of one template are one sentence told many times: together they count like a few.
    keys = [_template(row, body) for row, body in zip(source, bodies, strict=True)]
    counts = Counter(keys)
    found = [
        Text(readings(body), row["label"] == "INTERNAL", key, row["family"], False, False, row["text"],
             weight=min(1.0, 8 / counts[key]) if row["family"] != "docs" else 1.0)
        for row, body, key in zip(source, bodies, keys, strict=True)
    ]  # fmt: skip
    found += documents(data)
    for name, positive in (("internal", True), ("public", False)):
        found += [_own(line, positive, f"{name}{i}") for i, line in enumerate(sentences(name))]
    for family, sentence, number in grammar.said("business_grammar", _SAID["business"], _SEED):
        group = f"business grammar {number}"
        found.append(Text(readings(sentence), family == "internal", group, f"said: {family}", False, False, sentence))
    return found


def documents(data: Path) -> list[Text]:
    """Return one version of each document in the repositories of ``merges.jsonl.gz``: innocent, public and long."""
    latest = {
        (row["repo"], row["path"]): row["ours"]
        for row in rows(data / "merges.jsonl.gz")
        if _DOCUMENTS.search(row["path"])
    }
    return [
        Text(readings(text), False, f"repository {repo}", DOCUMENT, False, False, text, "artifact")
        for (repo, _), text in sorted(latest.items())
    ]


def prose(payload: str) -> str:
    """Return the running text of a payload: of a JSON value, the strings that have a blank in them."""
    document = read(payload)
    return "\n".join(document.text[start:end] for start, end in document.prose())


def _own(line: str, positive: bool, group: str) -> Text:
    return Text(readings(line), positive, group, OWN, False, False, line, weight=2.0)


def _template(row: dict[str, Any], body: str) -> str:
    if row["family"] == "docs":
        return str(row["source"])
    names = r"\b(?:[A-Z][a-z]+|the (?:search index|billing queue|event bus|audit store|policy engine))\b"
    words = re.sub(names, "X", fold(body).text).split()
    return f"{row['family']} " + " ".join(w for w in words if w.isalpha())[:24]


def _groups(source: list[dict[str, Any]]) -> list[str]:
    """Return a group per row: the same cluster, pair, transformed original, or attack sentence in another host."""
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        while parent.setdefault(name, name) != name:
            name = parent[name]
        return name

    innocent = Counter(s for row in source if row["label"] == "benign" for s in _sentences(row["text"]))
    for row in source:
        for field in ("cluster", "pair", "of"):
            if row.get(field):
                parent[root("row " + row["id"])] = root(f"{'cluster' if field == 'cluster' else 'row'} {row[field]}")
        if row["label"] == "attack" and not row.get("cluster"):
            for sentence in _sentences(row["text"]):
                if sentence not in innocent:
                    parent[root("row " + row["id"])] = root("sentence " + sentence)
    return [root("row " + row["id"]) for row in source]


def _sentences(original: str) -> Iterable[str]:
    folded = fold(original).text
    for text in (folded, *(view.text for view in views(original, folded))):
        for sentence in re.split(r"(?<=[.!?:>\]])\s+|\n+", text):
            if len(sentence.split()) > 3:
                yield sentence.strip().lower()
