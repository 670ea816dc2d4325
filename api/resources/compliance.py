"""Reports on controls: what the audit log supports evidence for."""

from __future__ import annotations

from typing import Any

from flask import Response
from flask.views import MethodView

from api import compliance, paging
from api.blueprint import Blueprint
from api.door import caller, door
from api.schemas import compliance as schemas
from api.schemas.requests import PromiseSchema, RequestSchema
from api.schemas.strict import page_of

blp = Blueprint(
    "compliance", __name__, url_prefix="/api/v1/compliance", description="What the audit log supports evidence for"
)
_TEXT = {"type": "string"}


@blp.route("/frameworks")
class Frameworks(MethodView):
    """All frameworks."""

    @blp.operation("listFrameworks", "audit:read")
    @blp.response(200, schemas.FrameworksSchema)
    def get(self) -> dict[str, Any]:
        """List the frameworks that can be reported on, with their controls"""
        return {"items": compliance.frameworks()}


@blp.route("/reports")
class Reports(MethodView):
    """All reports."""

    @blp.operation("listReports", "audit:read")
    @blp.arguments(schemas.ReportListQuery, location="query")
    @blp.response(200, page_of(schemas.ControlReportSchema))
    def get(self, query: dict[str, Any]) -> dict[str, Any]:
        """List reports in short, the newest first"""
        after = paging.after(query["page_token"], str)
        page = door().views.reports.reports(
            caller().organization, framework=query["framework"], after=after, limit=query["page_size"]
        )
        return paging.envelope(page)

    @blp.operation("makeReport", "audit:read", "Prefer", "Idempotency-Key")
    @blp.arguments(schemas.AskReportSchema)
    @blp.whole_response(202, PromiseSchema)
    @blp.alt_response(200, schema=RequestSchema, success=True)
    def post(self, body: dict[str, Any]) -> Response:
        """Make a report on a framework's controls over a period"""
        return compliance.ask(body)


@blp.route("/reports/<report>")
class Report(MethodView):
    """One report."""

    @blp.operation("getReport", "audit:read")
    @blp.arguments(schemas.ReportFormQuery, location="query")
    @blp.alt_response(200, schema={"type": "object"}, content_type="application/json", success=True)
    @blp.alt_response(200, schema=_TEXT, content_type="text/csv", success=True)
    @blp.alt_response(200, schema=_TEXT, content_type="text/markdown", success=True)
    @blp.alt_response(200, schema=_TEXT, content_type="text/html", success=True)
    @blp.problems(404)
    def get(self, query: dict[str, Any], report: str) -> Response:
        """Read a report as JSON (the form that is checked), CSV, Markdown or one HTML file"""
        return compliance.report(report, query["format"])


@blp.route("/export")
class Export(MethodView):
    """All decisions."""

    @blp.operation("exportDecisions", "audit:read")
    @blp.arguments(schemas.ExtractFormQuery, location="query")
    @blp.alt_response(200, schema=_TEXT, content_type="application/x-ndjson", success=True)
    @blp.alt_response(200, schema={"type": "object"}, content_type="application/json", success=True)
    @blp.alt_response(200, schema=_TEXT, content_type="text/csv", success=True)
    def get(self, query: dict[str, Any]) -> Response:
        """Stream routing decisions and vetoes, one a line; that they were handed out is recorded"""
        return compliance.export(query["format"])
