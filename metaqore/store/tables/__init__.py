"""Table definitions, one module per feature. Importing this package fills ``base.metadata``."""

from metaqore.store.tables import (
    audit,
    compliance,
    delivery,
    hmcp,
    llm,
    psmp,
    psmp_approvals,
    psmp_holdings,
    psmp_time,
    requests,
    security,
    sinks,
)
from metaqore.store.tables.base import metadata

__all__ = [
    "audit", "compliance", "delivery", "hmcp", "llm", "metadata", "psmp", "psmp_approvals", "psmp_holdings",
    "psmp_time", "requests", "security", "sinks",
]  # fmt: skip
