"""Take out of a payload what may not leave, and put it back on the way in.

:func:`redact` replaces each finding by a mark that says only its kind. :func:`pseudonymise` gives each value a name
(``[EMAIL_1]``) and keeps, on our side, what it stands for; :meth:`Pseudonyms.restore` puts the values back into an
answer. The same value has the same name everywhere in one payload, so that a model can still tell people apart.

What was found once is taken out wherever it stands in the payload: without the words by which it was found, in other
spacing or case, in the name of a member, encoded, and as a part of what was found (the password of a connection).

Pure. The mapping holds the values themselves: it is as sensitive as the payload and never leaves.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

from metaqore.errors import InvalidInput
from metaqore.security.assess_payload import escape, read
from metaqore.security.detect import MAX_FINDINGS, find
from metaqore.security.detect_records import kind_of
from metaqore.security.model import Finding, Label
from metaqore.security.repeated import squeezed

#: Kinds of findings that are about the whole text, not about a piece that could be taken out.
WHOLE = frozenset({"internal_material", "unjudged"})
_NAME = re.compile(r"\[[A-Z0-9_]+_\d+\]")
_QUOTED_NAME = re.compile(r'"(\[[A-Z0-9_]+_\d+\])"|(\[[A-Z0-9_]+_\d+\])')
#: Letters and digits of a value that is looked for however it is written; a shorter one only as a word of its own.
_LONG, _SHORT = 6, 3
#: So many characters for each letter or digit may lie between the first and the last of a value written otherwise.
_SPREAD = 2
_USERINFO = re.compile(r"://[^\s:@/]*:([^\s@/]+)@")


@dataclass(frozen=True, slots=True)
class Pseudonyms:
    """Names and the values that they stand for."""

    values: Mapping[str, str] = field(default_factory=dict)
    #: Of the names that stand for a whole number of a JSON value, the number.
    numbers: Mapping[str, int | float] = field(default_factory=dict)

    def restore(self, payload: Any) -> Any:
        """Return a text or JSON value with every known name replaced by its value; unknown names stay."""
        if isinstance(payload, str):
            if payload in self.numbers:
                return self.numbers[payload]
            return self._in_json(payload) if _is_json(payload) else self._in_text(payload)
        if isinstance(payload, Mapping):
            return {self._in_text(str(key)): self.restore(value) for key, value in payload.items()}
        if isinstance(payload, list | tuple):
            return [self.restore(item) for item in payload]
        return payload

    def _in_text(self, text: str) -> str:
        return _NAME.sub(lambda match: self.values.get(match[0], match[0]), text)

    def _in_json(self, text: str) -> str:
        """A value may have quotation marks and line breaks: in a JSON text they are escaped."""

        def value(match: re.Match[str]) -> str:
            if match[1] in self.numbers:
                return json.dumps(self.numbers[match[1]])
            name = match[1] or match[2]
            inner = json.dumps(self.values.get(name, name), ensure_ascii=False)[1:-1]
            return f'"{inner}"' if match[1] else inner

        return _QUOTED_NAME.sub(value, text)


#: (kind, text, the number where the whole text is one) → what stands in its place.
_Mark = Callable[[str, str, int | float | None], str]


def redact(payload: Any, findings: Iterable[Finding], *, at_least: Label = Label.SENSITIVE) -> Any:
    """Return the payload with every finding of a label replaced by a mark such as ``[REDACTED EMAIL]``.

    Args:
        payload: What was assessed: a text or a JSON value. It is not changed.
        findings: Of the assessment of exactly this payload.
        at_least: Findings of a lower label stay.

    Raises:
        InvalidInput: there are more findings than an assessment keeps.
    """

    def mark(kind: str, _text: str, _number: int | float | None) -> str:
        return f"[REDACTED {kind.upper().replace('_', ' ')}]"

    return _replace(payload, findings, at_least, mark)


def pseudonymise(
    payload: Any, findings: Iterable[Finding], *, at_least: Label = Label.SENSITIVE
) -> tuple[Any, Pseudonyms]:
    """Return the payload with a name in place of every finding, and what the names stand for.

    Args: see :func:`redact`. A name that the payload already has is not given again.
    """
    taken = set(_NAME.findall(payload if isinstance(payload, str) else json.dumps(payload, default=str)))
    values: dict[str, str] = {}
    numbers: dict[str, int | float] = {}
    names: dict[tuple[str, str, bool], str] = {}
    counts: dict[str, int] = {}

    def name_of(kind: str, text: str, number: int | float | None) -> str:
        key = kind, text, number is not None
        if key not in names:
            counts[kind] = counts.get(kind, 0) + 1
            while (name := f"[{kind.upper()}_{counts[kind]}]") in taken:
                counts[kind] += 1
            names[key] = name
            values[name] = text
            if number is not None:
                numbers[name] = number
        return names[key]

    return _replace(payload, findings, at_least, name_of), Pseudonyms(values, numbers)


def _replace(payload: Any, findings: Iterable[Finding], at_least: Label, mark: _Mark) -> Any:
    found = list(findings)
    if len(found) >= MAX_FINDINGS:
        raise InvalidInput(
            f"the payload has {MAX_FINDINGS} findings or more: too many to be sure that all are taken out"
        )
    chosen = [f for f in found if f.label >= at_least and f.type not in WHOLE]
    if not chosen:
        return payload
    if isinstance(payload, str) and any(finding.pointer is not None for finding in chosen):
        # It was read as JSON: pointers are into what it says, not into how it is written.
        return json.dumps(_Cutter(json.loads(payload), chosen, mark).cut(), ensure_ascii=False)
    return _Cutter(payload, chosen, mark).cut()


class _Span(NamedTuple):
    start: int
    end: int
    kind: str


class _Cutter:
    """Takes the findings out of one payload."""

    def __init__(self, payload: Any, findings: list[Finding], mark: _Mark) -> None:
        self._payload, self._mark = payload, mark
        self._spans: dict[str, list[_Span]] = {}
        self._keys: dict[str, str] = {}
        for finding in findings:
            pointer = finding.pointer or ""
            if finding.end > finding.start:
                self._spans.setdefault(pointer, []).append(_Span(finding.start, finding.end, finding.type))
            elif pointer:
                # A finding without characters is in the name of a member.
                self._keys.update(dict.fromkeys(_members(pointer, finding.type), finding.type))
        #: The first letters of a long value → the values that begin so, with (kind, as it was written).
        self._long: dict[str, dict[str, tuple[str, str]]] = {}
        self._short: dict[str, str] = {}
        for kind, text in self._found(payload, ""):
            for form in _forms(kind, text):
                letters = squeezed(form)
                if len(letters) >= _LONG:
                    self._long.setdefault(letters[:_LONG], {}).setdefault(letters, (kind, form))
                elif len(letters) >= _SHORT:
                    self._short.setdefault(form.casefold(), kind)
        short = "|".join(map(re.escape, sorted(self._short, key=len, reverse=True)))
        self._short_ones = re.compile(rf"(?i)(?<![^\W_])(?:{short})(?![^\W_])") if short else None

    def cut(self) -> Any:
        """Return the payload without them."""
        return self._walk(self._payload, "")

    def _found(self, value: Any, pointer: str) -> Iterator[tuple[str, str]]:
        """Yield (kind, text) of what was found."""
        if isinstance(value, Mapping):
            for key, item in value.items():
                inner = f"{pointer}/{escape(key)}"
                if inner in self._keys:
                    yield self._keys[inner], str(key)
                yield from self._found(item, inner)
        elif isinstance(value, list | tuple):
            for index, item in enumerate(value):
                yield from self._found(item, f"{pointer}/{index}")
        else:
            for span in self._spans.get(pointer, ()):
                yield span.kind, str(value)[span.start : span.end]

    def _walk(self, value: Any, pointer: str) -> Any:
        if isinstance(value, Mapping):
            walked: dict[Any, Any] = {}
            for key, item in value.items():
                inner = f"{pointer}/{escape(key)}"
                name = (
                    self._mark(self._keys[inner], str(key), None) if inner in self._keys else self._without(key, None)
                )
                # Two names may have become one.
                number = 2
                while name in walked:
                    name, number = f"{name.removesuffix(f' ({number - 1})')} ({number})", number + 1
                walked[name] = self._walk(item, inner)
            return walked
        if isinstance(value, list | tuple):
            return [self._walk(item, f"{pointer}/{index}") for index, item in enumerate(value)]
        return self._without(value, pointer)

    def _without(self, value: Any, pointer: str | None) -> Any:
        """Return a string or a number without what was found; itself where there is nothing of it."""
        if value is None or isinstance(value, bool):
            return value
        text = value if isinstance(value, str) else str(value)
        own = self._spans.get(pointer, []) if pointer is not None else []
        spans = sorted([*own, *self._elsewhere(text)], key=lambda span: (span.start, -span.end))
        if not spans:
            return value
        if not isinstance(value, str):
            return self._mark(spans[0].kind, text, value)
        parts, read_to = [], 0
        for span in spans:
            # Of overlapping ones, what the earlier does not cover is cut with it.
            if span.end > max(read_to, span.start):
                start = max(span.start, read_to)
                parts += [text[read_to:start], self._mark(span.kind, text[start : span.end], None)]
                read_to = span.end
        return "".join([*parts, text[read_to:]])

    def _elsewhere(self, text: str) -> Iterator[_Span]:
        """Yield where a value that was found anywhere stands in a text, however it is written."""
        for match in self._short_ones.finditer(text) if self._short_ones else ():
            yield _Span(*match.span(), self._short.get(match[0].casefold(), "credential"))
        if len(text) < _LONG or not self._long:
            return
        letters, places = _squeezed_with_places(text)
        at = 0
        while at <= len(letters) - _LONG:
            begun = self._long.get(letters[at : at + _LONG])
            value = next((v for v in begun if letters.startswith(v, at)), None) if begun else None
            if begun is None or value is None:
                at += 1
                continue
            kind, form = begun[value]
            # Signs at its ends are part of it: a password may begin or end with one.
            start, end = _with_ends(text, places[at], places[at + len(value) - 1] + 1, form)
            if end - start <= _SPREAD * len(form) + 2:
                yield _Span(start, end, kind)
            at += len(value)


def _squeezed_with_places(text: str) -> tuple[str, list[int]]:
    """Return the letters and digits of a text in one case, and where each of them stands."""
    letters, places = [], []
    for place, char in enumerate(text):
        if char.isalnum():
            folded = char.casefold()
            letters.append(folded)
            places += [place] * len(folded)
    return "".join(letters), places


def _with_ends(text: str, start: int, end: int, form: str) -> tuple[int, int]:
    first = next((at for at, char in enumerate(form) if char.isalnum()), 0)
    last = next((at for at, char in enumerate(reversed(form)) if char.isalnum()), 0)
    if first and text[max(0, start - first) : start] == form[:first]:
        start -= first
    if last and text[end : end + last] == form[-last:]:
        end += last
    return start, end


def _forms(kind: str, text: str) -> Iterator[str]:
    """Yield a value, its secret part, and both as they are written where they are encoded."""
    parts = [text]
    if kind == "connection_string" and (userinfo := _USERINFO.search(text)):
        parts += [userinfo[1], unquote(userinfo[1])]
    if kind == "basic_auth":
        with suppress(ValueError):
            login = base64.b64decode(text + "=" * (-len(text) % 4)).decode()
            parts += [login, login.partition(":")[2]]
    for part in parts:
        yield part
        if _LONG <= len(part) <= 512:
            yield quote(part, safe="")
            yield base64.b64encode(part.encode("utf-8", "surrogatepass")).decode().rstrip("=")


def _members(pointer: str, kind: str) -> Iterator[str]:
    """Yield the pointers of the members of which a name holds what was found, of those on the way to ``pointer``."""
    steps = pointer.split("/")
    held = [
        number
        for number, step in enumerate(steps)
        if any(finding.type == kind for finding in find(read(step.replace("~1", "/").replace("~0", "~")), ()))
    ]
    if not held and kind_of(steps[-1]) != "diagnosis":
        held = [len(steps) - 1]
    return ("/".join(steps[: number + 1]) for number in held)


def _is_json(text: str) -> bool:
    if text.lstrip()[:1] not in ("{", "["):
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
