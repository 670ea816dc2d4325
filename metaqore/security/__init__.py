"""SecureGateway: classify, route, veto."""
