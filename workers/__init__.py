"""Celery: the thin worker door."""
