"""What a content holds raises the label of its version, whatever was declared. Pure.

It is no conflict: nobody is asked to declare it again. The version is admitted under the higher label, and the decision
by which it got that is recorded with it.

A declassification is about what stood in the version that was looked at: as long as later versions hold nothing more,
they keep the lower label. Whatever they add raises it again.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from metaqore.messages import EventNote, Write
from metaqore.psmp.check_labels import rank_of
from metaqore.psmp.family import Family
from metaqore.psmp.model import Case, Conflict, Head
from metaqore.psmp.traits import SENSITIVE
from metaqore.psmp.workspace import Workspace


def find(case: Case, workspace: Workspace) -> Iterable[Conflict]:
    """Raise the label of the version; nothing here is in anybody's way."""
    looked = case.studied.looked
    if looked is None or rank_of(looked.label) <= rank_of(case.label):
        return ()
    if case.head is not None:
        looked = looked.beyond(workspace.content(case.head.id, case.head.head))
        case.studied = msgspec.structs.replace(case.studied, looked=looked)
    if looked is not None and rank_of(looked.label) > rank_of(case.label):
        case.label = looked.label
        case.result = {**case.result, "label_raised": {"to": looked.label, "found": looked.types}}
    return ()


def admitted(case: Case, fresh: Head, _workspace: Workspace) -> Iterable[Write]:
    """Record the decision where the content alone made the label what it is."""
    looked = case.studied.looked
    if looked is None or "label_raised" not in case.result:
        return ()
    write, note = looked.recorded(case.request, fresh.id, looked.label, case.now)
    case.audit = [*case.audit, note]
    case.events = [*case.events, EventNote("artifact.label_raised", fresh.id, {"label": looked.label})]
    return (write,)


FAMILY = Family(rules=(), when=SENSITIVE, find=find, admitted=admitted)
