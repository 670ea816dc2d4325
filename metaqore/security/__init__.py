"""SecureGateway: classify, route, veto."""

from metaqore.security.assessment import assess

__all__ = ["assess"]
