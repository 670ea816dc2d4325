"""Events, webhooks and streams going out."""
