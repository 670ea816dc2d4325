"""Where the decision about a request is recorded: for every kind there is, so that none can run without one. Pure.

Whatever SecureGateway refuses is a row in ``decisions`` with its audit entry, in every mode and for every kind but
those of ``ALWAYS``. What it lets through is recorded where its verdict is: calls and assessments in ``decisions``,
everything else in its request and in the audit entry of the same transaction. A row in ``decisions`` for each
declaration would say nothing more, and cost a statement on the path of all of them.

So an auditor asks the log, not the table: each request has exactly one verdict, and each verdict its entry, which
reconciliation counts. The entry of what a queue decided names the digest of SecureGateway's policies that had no
objection (``details.gate``), beside that of the feature's own (``policy``), and the rules that only watch or warn.
What is decided inside a call has an entry of its own between those of the changes of policies: custom ones and the
engine's own files are in the log themselves (``security:policy:changed``), before anything is decided by them.
"""

from __future__ import annotations

#: Not held up by rules or stops: they make nothing, and end or explain what others do.
ALWAYS = frozenset(
    "stop.set stop.lift artifact.quarantine artifact.set_aside policy.save policy.reload key.revoke approval.expire "
    "budget.release".split()
)
#: Each verdict is a row in ``decisions``: what may leave, and where to.
DECISIONS = frozenset({"payload.assess", "llm.generate"})


def where(kind: str, queue: str) -> str:
    """Return where an approval of a request of this kind is recorded, as a sentence for an auditor."""
    if kind in DECISIONS:
        return "in decisions, with the rules, the findings and the providers; its audit entry names it"
    if queue == "control":
        return "in the request and the audit entry of the transaction that changed something: it is decided in the call"
    if queue == "psmp":
        return "in the request's verdict and its audit entry, which carries the digest of the policy that decided"
    if queue in ("hmcp", "llm"):
        return "in the request's verdict and its audit entry; what it learns from was decided call by call"
    if queue == "security":
        return "in the request's verdict and its audit entry; it reads what was decided, and nothing leaves"
    return ""
