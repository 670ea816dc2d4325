"""Metrics in Prometheus' text format, read from the database: the same from every process, right after a restart."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from metaqore.clock import now_ms
from metaqore.queues import QUEUES
from metaqore.security.policy_source import PolicySource
from metaqore.store.views.health import HealthViews


class _Database:
    """Collects what the database knows."""

    def __init__(self, views: HealthViews) -> None:
        self._views = views

    def collect(self) -> Iterator[Metric]:
        """Yield the families of one scrape."""
        found = self._views.open_requests()
        depth = GaugeMetricFamily(
            "metaqore_queue_depth", "Requests that are not finished", labels=["queue", "state"]
        )  # fmt: skip
        age = GaugeMetricFamily(
            "metaqore_queue_oldest_age_seconds", "How long ago the oldest unfinished request was accepted",
            labels=["queue"],
        )  # fmt: skip
        now = now_ms()
        for queue in QUEUES:
            for state in ("accepted", "running"):
                depth.add_metric([queue, state], found.get((queue, state), (0, None))[0])
            oldest = [at for (q, _), (_, at) in found.items() if q == queue and at is not None]
            age.add_metric([queue], max(0.0, (now - min(oldest)) / 1000) if oldest else 0.0)
        yield depth
        yield age
        yield from self._sinks(now)
        yield from self._specialists()
        counts = self._views.counts()
        yield GaugeMetricFamily(
            "metaqore_deliveries_pending", "Webhook deliveries on their way", value=counts["deliveries_pending"]
        )  # fmt: skip
        yield CounterMetricFamily("metaqore_requests_accepted", "Requests accepted", value=counts["requests_accepted"])
        yield CounterMetricFamily("metaqore_audit_entries", "Audit entries written", value=counts["audit_entries"])
        yield CounterMetricFamily("metaqore_events", "Events written", value=counts["events"])

    def _sinks(self, now: int) -> Iterator[Metric]:
        names = ["organization", "sink"]
        lag = GaugeMetricFamily("metaqore_audit_sink_lag_entries", "Audit entries a sink has not taken", labels=names)
        age = GaugeMetricFamily(
            "metaqore_audit_sink_lag_seconds", "How long ago the oldest of them was recorded", labels=names
        )  # fmt: skip
        failures = GaugeMetricFamily(
            "metaqore_audit_sink_failures", "How often a sink failed since it last took something", labels=names
        )  # fmt: skip
        for row in self._views.sinks():
            sink = [row["organization"], row["name"]]
            lag.add_metric(sink, row["lag"])
            age.add_metric(sink, 0.0 if row["oldest"] is None else max(0.0, (now - row["oldest"]) / 1000))
            failures.add_metric(sink, row["failures"])
        yield from (lag, age, failures)

    def _specialists(self) -> Iterator[Metric]:
        names = ["organization", "specialist"]
        calls = CounterMetricFamily(
            "metaqore_specialist_calls", "Model calls that a specialist was asked about, by what became of them",
            labels=[*names, "kind"],
        )  # fmt: skip
        disagreed = CounterMetricFamily(
            "metaqore_specialist_disagreements", "Compared calls to which specialist and model gave different answers",
            labels=[*names, "kind"],
        )  # fmt: skip
        saved = CounterMetricFamily(
            "metaqore_specialist_saved_tokens", "Estimated tokens that did not have to be bought", labels=names
        )  # fmt: skip
        for row in self._views.specialists():
            who = [row["organization"], row["specialist"]]
            calls.add_metric([*who, row["kind"]], row["calls"])
            if row["kind"] in ("audited", "shadow"):
                disagreed.add_metric([*who, row["kind"]], row["calls"] - row["agreed"])
            if row["kind"] == "served":
                saved.add_metric(who, row["saved_tokens"])
        yield from (calls, disagreed, saved)


class _Policies:
    """Collects which policy file the answering process holds; the others look at it just as often."""

    def __init__(self, policies: PolicySource) -> None:
        self._policies = policies

    def collect(self) -> Iterator[Metric]:
        """Yield the families of one scrape."""
        found = self._policies.report()
        usable = GaugeMetricFamily(
            "metaqore_policy_usable", "0 where the policy file was changed to one that cannot be used, and the one "
            "before holds", labels=["file"],
        )  # fmt: skip
        age = GaugeMetricFamily(
            "metaqore_policy_age_seconds", "How long the policies of a file have held", labels=["file", "digest"]
        )
        usable.add_metric(["security.yaml"], float(found["ok"]))
        age.add_metric(["security.yaml", found["digest"]], float(found["age_s"]))
        yield from (usable, age)


def exposition(views: HealthViews, policies: PolicySource) -> tuple[bytes, str]:
    """Return the text of one scrape and its content type."""
    registry = CollectorRegistry()
    registry.register(_Database(views))
    registry.register(_Policies(policies))
    return generate_latest(registry), CONTENT_TYPE_LATEST
