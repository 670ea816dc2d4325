"""The forms in which a report is handed out: what each is called, its media type, and how it is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from metaqore.audit.compliance_csv import as_csv
from metaqore.audit.compliance_html import as_html
from metaqore.audit.compliance_markdown import as_markdown


class Form(NamedTuple):
    """One form: its media type, the ending of its file's name, and what makes it of a document."""

    media_type: str
    ending: str
    make: Callable[[Mapping[str, Any]], str] | None


#: ``json`` is the document itself, byte for byte as its digest was made.
FORMS: Mapping[str, Form] = {
    "json": Form("application/json", "json", None),
    "csv": Form("text/csv; charset=utf-8; header=present", "csv", as_csv),
    "markdown": Form("text/markdown; charset=utf-8", "md", as_markdown),
    "html": Form("text/html; charset=utf-8", "html", as_html),
}


def in_form(text: str, form: str) -> str:
    """Return a report's document (JSON text) in one of ``FORMS``."""
    make = FORMS[form].make
    return text if make is None else make(msgspec.json.decode(text))
