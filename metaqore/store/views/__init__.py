"""Read-only look-ups for those who ask: always by index, always within one organization, a page at a time."""

from __future__ import annotations

import msgspec

from metaqore.store.engine import Database
from metaqore.store.views.audit import AuditViews
from metaqore.store.views.budgets import BudgetViews
from metaqore.store.views.compliance import ComplianceViews
from metaqore.store.views.compliance_reports import ReportViews
from metaqore.store.views.delivery import DeliveryViews
from metaqore.store.views.health import HealthViews
from metaqore.store.views.hmcp import HmcpViews
from metaqore.store.views.privacy import PrivacyViews
from metaqore.store.views.provenance import ProvenanceViews
from metaqore.store.views.psmp import PsmpViews
from metaqore.store.views.psmp_approvals import ApprovalViews
from metaqore.store.views.psmp_holdings import HoldingViews
from metaqore.store.views.psmp_rules import AliasViews
from metaqore.store.views.psmp_time import TimeViews
from metaqore.store.views.requests import RequestViews
from metaqore.store.views.security import SecurityViews


class Views(msgspec.Struct, frozen=True):
    """The look-ups by feature."""

    requests: RequestViews
    psmp: PsmpViews
    security: SecurityViews
    hmcp: HmcpViews
    delivery: DeliveryViews
    health: HealthViews
    approvals: ApprovalViews
    time: TimeViews
    holdings: HoldingViews
    aliases: AliasViews
    audit: AuditViews
    budgets: BudgetViews
    compliance: ComplianceViews
    reports: ReportViews
    provenance: ProvenanceViews
    privacy: PrivacyViews


def build(database: Database) -> Views:
    """Return the look-ups of ``database``."""
    return Views(
        RequestViews(database), PsmpViews(database), SecurityViews(database), HmcpViews(database),
        DeliveryViews(database), HealthViews(database), ApprovalViews(database), TimeViews(database),
        HoldingViews(database), AliasViews(database), AuditViews(database),
        BudgetViews(database), ComplianceViews(database), ReportViews(database), ProvenanceViews(database),
        PrivacyViews(database),
    )  # fmt: skip


__all__ = ["Views", "build"]
