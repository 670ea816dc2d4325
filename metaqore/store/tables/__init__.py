"""Table definitions, one module per feature. Importing this package fills ``base.metadata``."""

from metaqore.store.tables import audit, delivery, hmcp, llm, psmp, requests, security
from metaqore.store.tables.base import metadata

__all__ = ["audit", "delivery", "hmcp", "llm", "metadata", "psmp", "requests", "security"]
