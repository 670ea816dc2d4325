"""LLM Gateway: assemble, batch, route and settle model calls."""
