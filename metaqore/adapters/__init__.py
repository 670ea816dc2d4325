"""The outside world: Redis, HTTP, logs, metrics."""
