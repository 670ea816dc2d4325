"""Frameworks, reports in their forms, and the export that is recorded before its first line leaves."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterator, Mapping
from typing import Any

from flask import Response

from api.door import Door, caller, door, header
from api.submit import run, submit
from api.welcome import while_welcome
from metaqore.audit.compliance_extract import EXTRACT_FORMS, extract, extract_name
from metaqore.audit.compliance_file import load_frameworks
from metaqore.audit.compliance_forms import FORMS, in_form
from metaqore.audit.compliance_lines import Decided
from metaqore.clock import now_ms
from metaqore.errors import InvalidInput, NotFound
from metaqore.messages import Submission
from metaqore.security.keys import Principal
from metaqore.store.tenant import on_behalf_of

#: Nothing in a report is fetched or run, whoever opens it in a browser.
_CSP = "default-src 'none'; style-src 'unsafe-inline'; sandbox"


def frameworks() -> list[dict[str, Any]]:
    """Return the frameworks there are, with their controls."""
    found = load_frameworks(door().settings.compliance_path)
    return [
        {
            "id": one.id, "title": one.title, "edition": one.edition, "source": one.source, "version": one.version,
            "digest": one.digest, "controls": [control.shown() for control in one.controls],
        }
        for one in found.values()
    ]  # fmt: skip


def ask(body: Mapping[str, Any]) -> Response:
    """Ask for a report.

    Raises:
        InvalidInput: there is no such framework.
    """
    name, known = body["framework"], load_frameworks(door().settings.compliance_path)
    if name not in known:
        detail = f"{name!r} is no framework: one of {', '.join(known)}"
        raise InvalidInput(f"framework: {detail}", errors=[{"pointer": "/framework", "detail": detail}])
    times = {member: body[key].isoformat() for member, key in (("from", "from_"), ("to", "to")) if key in body}
    return submit("compliance.report", None, {"framework": name, **times})


def report(report_id: str, form: str) -> Response:
    """Return a report of the caller's organization as a file in one of ``FORMS``.

    Raises:
        NotFound: there is no such report.
    """
    text = door().views.reports.document(caller().organization, report_id)
    if text is None:
        raise NotFound(f"report {report_id} does not exist")
    chosen = FORMS[form]
    answer = Response(in_form(text, form), content_type=chosen.media_type)
    answer.headers["Content-Disposition"] = f'attachment; filename="{report_id}.{chosen.ending}"'
    answer.headers["Content-Security-Policy"] = _CSP
    answer.headers["X-Content-Type-Options"] = "nosniff"
    return answer


def export(form: str) -> Response:
    """Stream the caller's decisions in one of ``EXTRACT_FORMS``.

    Raises:
        NoPlace, ShareExceeded: this process holds as many streams as it can, or as the caller may.
    """
    here, who = door(), caller()
    name = extract_name(form, who.organization, now_ms())
    if not here.streams.take(who):
        raise here.streams.refusal(who)
    try:
        through = here.views.compliance.last(who.organization)
        run("compliance.export", {"through": through, "format": form}, body={})
    except BaseException:
        here.streams.give_back(who)
        raise
    lines = Lines(here, who, header("HTTP_AUTHORIZATION"), through, form)
    answer = Response(lines, content_type=EXTRACT_FORMS[form])
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


class Lines:
    """The lines of one export; ``close`` records what was handed out and gives the place back."""

    def __init__(self, here: Door, who: Principal, key: str | None, through: int, form: str = "jsonl") -> None:
        self._door = here
        self._who, self._organization, self._key = who, who.organization, key
        self._through = through
        self._form = form
        self._digest, self._events = hashlib.sha256(), 0
        self._complete = self._is_closed = False
        self._lines = self._run()

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self._lines)

    def close(self) -> None:
        """End the export; the server calls it, also when the reader is gone."""
        self._lines.close()
        if self._is_closed:
            return
        self._is_closed = True
        self._door.streams.give_back(self._who)
        payload = {"events": self._events, "digest": f"sha256:{self._digest.hexdigest()}", "complete": self._complete,
                   "format": self._form}  # fmt: skip
        self._door.engine.executor.run_now(
            Submission(
                organization=self._organization,
                project=None,
                principal=self._who.name,
                kind="compliance.export",
                payload=payload,
            )
        )

    def _run(self) -> Generator[bytes, None, None]:
        pieces = extract(self._form, self._organization, self._decided())
        for events, piece in while_welcome(self._door, self._key, pieces):
            self._digest.update(piece)
            self._events += events
            yield piece
        self._complete = True

    def _decided(self) -> Iterator[Decided]:
        decided = self._door.views.compliance.decided(self._organization, self._through)
        while True:
            with on_behalf_of(self._organization):
                one = next(decided, None)
            if one is None:
                return
            yield one
